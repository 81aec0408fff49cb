"""Runs histories for hours: tells failures as they occur, and notes what is done, so that the next call goes on."""

from __future__ import annotations

import json
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

from tests.simulation.chunks import Chunk, Done, run_chunk
from tests.simulation.shrinking import kind_of

_CHUNK = 50
_AHEAD = 4  # chunks of each process that are done or wait, while an earlier one goes on
_TOLD_EVERY = 60.0  # seconds
_SHOWN = 3  # failing seeds of each kind
_INTERRUPTED = 130  # exit status, as after SIGINT


@dataclass(frozen=True)
class SeedRange:
    """The seeds from `first` on, so `many`; with a guard taken away, perhaps."""

    first: int
    many: int
    mutant: str | None = None

    def chunks(self, done: int) -> Iterator[Chunk]:
        """Yields what is left once so many are done."""
        for start in range(done, self.many, _CHUNK):
            yield Chunk(self.first + start, min(_CHUNK, self.many - start), self.mutant)


@dataclass
class Tally:
    """The result of the first `done` histories of a range."""

    first: int = 0
    mutant: str | None = None
    done: int = 0
    steps: int = 0
    seconds: float = 0.0  # that it took, of all calls together
    failing: dict[str, list[int]] = field(default_factory=dict)  # seeds by the kind of their violation

    @classmethod
    def of(cls, file: Path | None, seeds: SeedRange) -> Tally:
        """Returns that of an earlier call, or a new one. Raises SystemExit for a file of other seeds."""
        if file is None or not file.exists():
            return cls(seeds.first, seeds.mutant)
        tally = cls(**json.loads(file.read_text("utf-8")))
        if (tally.first, tally.mutant) != (seeds.first, seeds.mutant):
            other = f"the seeds from {tally.first} on (mutant: {tally.mutant})"
            raise SystemExit(f"{file} is of {other}: name another file")
        return tally

    def add(self, done: Done) -> None:
        """Adds a chunk, and tells of failures: of the first of each kind at length."""
        self.done, self.steps = self.done + done.histories, self.steps + done.steps
        for failure in done.failures:
            kind = kind_of(failure.violation)
            if kind not in self.failing and failure.lines:
                print("\n".join(eventful(failure.lines)))
            if len(self.failing.setdefault(kind, [])) < _SHOWN:
                print(f"seed {failure.seed}: {failure.violation}", flush=True)
            self.failing[kind].append(failure.seed)

    def keep(self, file: Path | None) -> None:
        """Writes it, wholly or not at all."""
        if file is not None:
            part = file.with_name(f"{file.name}.part")
            part.write_text(json.dumps(asdict(self)), "utf-8")
            part.replace(file)

    def tell(self) -> None:
        """Prints how far it is."""
        steps, each = self.steps / max(self.done, 1), 1000 * self.seconds / max(self.done, 1)
        failed = sum(map(len, self.failing.values()))
        print(
            f"{self.done} histories of {steps:.0f} steps in {self.seconds:.0f} s ({each:.1f} ms each), {failed} failed",
            flush=True,
        )


def run_many(seeds: SeedRange, processes: int, minutes: float | None, file: Path | None) -> int:
    """Returns the exit status: 1 if a history failed or a process died, 130 if the run was interrupted."""
    tally = Tally.of(file, seeds)
    before, begin = tally.seconds, time.monotonic()
    told, status = begin, 0
    with _interruptible(), _pool(processes) as run:
        try:
            for done in run(seeds.chunks(tally.done)):
                now = time.monotonic()
                tally.seconds = before + now - begin
                tally.add(done)
                tally.keep(file)
                if now - told > _TOLD_EVERY:
                    told = now
                    tally.tell()
                if minutes is not None and now - begin > 60 * minutes:
                    break
        except KeyboardInterrupt:
            status = _INTERRUPTED
            print(f"stopped before seed {seeds.first + tally.done}", flush=True)
        except BrokenProcessPool:
            status = 1
            print(f"a process died in a history from seed {seeds.first + tally.done} on", flush=True)
    tally.tell()
    for kind, found in sorted(tally.failing.items()):
        print(f"FAILED in {len(found)}: {kind} (scripts/simulate --seed {', '.join(map(str, sorted(found)[:_SHOWN]))})")
    return status or int(bool(tally.failing))


def eventful(lines: Sequence[str]) -> Iterator[str]:
    """Leaves out passes that did nothing."""
    for line, after in pairwise([*lines, ""]):
        if not line.endswith(("a pass begins", "the pass is done")) or "pass" not in after:
            yield line


@contextmanager
def _interruptible() -> Iterator[None]:
    """Takes SIGTERM as SIGINT, which a shell's background commands ignore."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _pool(processes: int) -> Iterator[Callable[[Iterator[Chunk]], Iterator[Done]]]:
    """Runs chunks of histories in so many processes; one is this one. The results come in the order of the chunks."""
    if processes == 1:
        yield lambda chunks: map(run_chunk, chunks)
        return
    executor = ProcessPoolExecutor(processes, get_context("spawn"), _leave_signals)
    try:
        yield lambda chunks: _in_order(executor, chunks, processes * _AHEAD)
    finally:
        executor.shutdown(cancel_futures=True)


def _leave_signals() -> None:
    """A terminal sends SIGINT to all processes: only the first one obeys."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _in_order(executor: ProcessPoolExecutor, chunks: Iterator[Chunk], ahead: int) -> Iterator[Done]:
    waiting: deque[Future[Done]] = deque()
    for chunk in chunks:
        waiting.append(executor.submit(run_chunk, chunk))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
