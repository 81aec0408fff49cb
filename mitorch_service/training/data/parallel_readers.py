"""Reads the many files of a large data set in several processes.

A million files take seconds to open on a local disk, and many minutes where each takes a millisecond to respond.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar, cast

from mitorch_service.training.data.cpu_count import usable_cores

Result = TypeVar("Result")

log = logging.getLogger("mitorch")

FILES_PER_CALL = 2000
_FIRST_HERE = 10  # calls; a data set that needs no more is read before a process has started
_MOST_PROCESSES = 8


@dataclass(frozen=True)
class Call(Generic[Result]):
    """A call to make in another process, or (`here`) in this one. The function, its arguments and its result are
    pickled."""

    function: Callable[..., Result]
    arguments: tuple[object, ...]
    here: bool = False

    def make(self) -> Result:
        return self.function(*self.arguments)


def results(calls: Iterable[Call[Result]]) -> Iterator[Result]:
    """Yields the results of the calls in order, with a few calls under way at a time.

    The first calls are made in this process, the others in one process per core, at most 8 (``OMP_NUM_THREADS`` limits
    them). Those end with the iterator, and with this process however it ends. An error that a call raises is raised in
    place of its result.
    """
    calls = iter(calls)
    for call in islice(calls, _FIRST_HERE):
        yield call.make()
    with _Processes(_count()) as processes:
        under_way: deque[Callable[[], Result]] = deque()
        for call in calls:
            under_way.append(call.make if call.here else processes.start(call))
            if len(under_way) > 2 * _count():
                yield under_way.popleft()()
        while under_way:
            yield under_way.popleft()()


def _count() -> int:
    return min(usable_cores(), _MOST_PROCESSES)


class _Processes:
    """Threads with a process each, which starts with the first call."""

    def __init__(self, count: int) -> None:
        self._threads = ThreadPoolExecutor(count)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._own = threading.local()  # .process: this thread's, None once it has died

    def __enter__(self) -> _Processes:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(cancel_futures=True)
        for process in self._processes:
            process.communicate()  # ends it

    def start(self, call: Call[Result]) -> Callable[[], Result]:
        """Starts the call. Returns a function that waits for its result, and raises what it raised."""
        return self._threads.submit(self._make, call).result

    def _make(self, call: Call[Result]) -> Result:
        if not hasattr(self._own, "process"):
            command = [sys.executable, "-m", __name__]
            self._own.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self._processes.append(self._own.process)
        if self._own.process is None:
            return call.make()
        try:
            result, error = _send(self._own.process, call)
        except (OSError, EOFError, pickle.UnpicklingError):
            self._own.process.kill()
            log.warning(
                "A process reading the data set ended (%d); the main process reads on.", self._own.process.wait()
            )
            self._own.process = None
            return call.make()
        if error is not None:
            raise error
        return cast("Result", result)


def _send(process: subprocess.Popen[bytes], call: Call[Result]) -> tuple[object, Exception | None]:
    """Makes the call there. Returns its result, or the error it raised."""
    assert process.stdin is not None
    assert process.stdout is not None
    pickle.dump((call.function, call.arguments), process.stdin)
    process.stdin.flush()
    return pickle.load(process.stdout)  # type: ignore[no-any-return]  # noqa: S301 (between parent and child, by a pipe)


def _serve() -> None:
    """Makes the calls that arrive, until the process that sends them ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process gets it too, and ends this one
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library's prints must not get among the answers
    while True:
        try:
            function, arguments = pickle.load(sys.stdin.buffer)  # noqa: S301 (between parent and child, by a pipe)
        except EOFError:
            return
        result: object = None
        failure: Exception | None = None
        try:
            result = function(*arguments)
        except Exception as error:  # noqa: BLE001 - raised again in the main process
            failure = error
        pickle.dump((result, failure), answers)
        answers.flush()


if __name__ == "__main__":
    _serve()
