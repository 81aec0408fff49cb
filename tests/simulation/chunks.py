"""Some histories one after the other, in a process that runs such chunks for hours."""

from __future__ import annotations

import faulthandler
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from tests.simulation.choices import Choices
from tests.simulation.histories import Histories, Mutant, Outcome
from tests.simulation.mutants import MUTANTS, unchanged
from tests.simulation.shrinking import kind_of, shrink

_COMPARED_EVERY = 100  # seeds: these run in SQLite, too
_SHRINKING_RUNS = 300
_LONGEST = 900.0  # seconds of a chunk, after which its process tells where it hangs, and ends


@dataclass(frozen=True)
class Chunk:
    """Histories to run; `mutant`: the guard that is taken away."""

    first: int
    many: int
    mutant: str | None = None


@dataclass(frozen=True)
class Failure:
    """A history that failed; `lines`: the shortest that fails alike, for the first of each kind in a process."""

    seed: int
    violation: str
    lines: Sequence[str] = ()


@dataclass
class Done:
    """The histories of a chunk."""

    histories: int = 0
    steps: int = 0
    failures: list[Failure] = field(default_factory=list)


def run_chunk(chunk: Chunk) -> Done:
    """Runs the histories of a chunk. The failures of a mutant, which are expected, are not shortened."""
    faulthandler.dump_traceback_later(_LONGEST, exit=True, file=2)
    try:
        change = MUTANTS[chunk.mutant].change if chunk.mutant else unchanged
        done = Done()
        for seed in range(chunk.first, chunk.first + chunk.many):
            outcome = _histories().run(Choices(seed), change)
            done.histories, done.steps = done.histories + 1, done.steps + outcome.steps
            violation = outcome.violation or _difference(seed, outcome, change)
            if violation is not None:
                shown = () if chunk.mutant else _short(outcome, kind_of(violation))
                done.failures.append(Failure(seed, violation, shown))
        return done
    finally:
        faulthandler.cancel_dump_traceback_later()


@cache
def _histories(in_sqlite: bool = False) -> Histories:
    return Histories(in_sqlite)


def _difference(seed: int, outcome: Outcome, change: Mutant) -> str | None:
    """Tells whether a history goes another way in SQLite."""
    if seed % _COMPARED_EVERY:
        return None
    other = _histories(in_sqlite=True).run(Choices(seed), change)
    if other == outcome:
        return None
    return f"the history is another one in SQLite: {other.steps} steps in place of {outcome.steps}, {other.violation}"


_shortened: set[str] = set()


def _short(outcome: Outcome, kind: str) -> Sequence[str]:
    if outcome.violation is None or kind in _shortened:
        return ()
    _shortened.add(kind)
    short = shrink(_histories(), outcome, unchanged, _SHRINKING_RUNS)
    return _histories().run(Choices(None, short), tracing=True).lines
