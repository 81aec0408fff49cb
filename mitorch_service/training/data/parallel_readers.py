"""Processes that open the many files of a large data set, several at a time.

A million files take seconds to open on a local disk, and many minutes where each answers after a millisecond.
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
from typing import Any, Generic, TypeVar

from mitorch_service.training.data.cpu_count import usable_cores

Result = TypeVar("Result")

log = logging.getLogger("mitorch")

FILES_PER_CALL = 2000
_FIRST_HERE = 10  # calls; a data set that needs no more is read before a process has started
_MOST = 8


@dataclass(frozen=True)
class Call(Generic[Result]):
    """A call that can be made in another process: a function of a module, what it is given and what it returns are
    pickled. `here`: make it in this one all the same."""

    function: Callable[..., Result]
    arguments: tuple[Any, ...]
    here: bool = False

    def make(self) -> Result:
        return self.function(*self.arguments)


def results(calls: Iterable[Call[Result]]) -> Iterator[Result]:
    """What the calls return, in their order; a few are under way at a time.

    The first are made here, those after them in as many processes as there are cores (`OMP_NUM_THREADS` limits them).
    The processes end with the iterator, and with this process however it ends. An error is raised where its result
    would come.
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
    return min(usable_cores(), _MOST)


class _Processes:
    """As many threads, each with a process of its own, which starts with the first call."""

    def __init__(self, count: int) -> None:
        self._threads = ThreadPoolExecutor(count)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._own = threading.local()

    def __enter__(self) -> _Processes:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(cancel_futures=True)
        for process in self._processes:
            process.communicate()  # which ends it

    def start(self, call: Call[Result]) -> Callable[[], Result]:
        """Gives what waits for the result, and raises what the call raised."""
        return self._threads.submit(self._make, call).result

    def _make(self, call: Call[Result]) -> Result:
        if not hasattr(self._own, "process"):
            command = [sys.executable, "-m", __name__]
            self._own.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self._processes.append(self._own.process)
        if self._own.process is None:
            return call.make()
        try:
            result, error = _ask(self._own.process, call)
        except (OSError, EOFError, pickle.UnpicklingError):
            self._own.process.kill()
            log.warning("A process reading the data set ended (%d); this one goes on.", self._own.process.wait())
            self._own.process = None
            return call.make()
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return]


def _ask(process: subprocess.Popen[bytes], call: Call[Any]) -> tuple[Any, Exception | None]:
    """The result, or what was raised."""
    assert process.stdin is not None
    assert process.stdout is not None
    pickle.dump((call.function, call.arguments), process.stdin)
    process.stdin.flush()
    return pickle.load(process.stdout)  # type: ignore[no-any-return]


def _serve() -> None:
    """Makes the calls that come, until the process that sends them ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other gets it too
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    while True:
        try:
            function, arguments = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        result, failure = None, None
        try:
            result = function(*arguments)
        except Exception as error:  # noqa: BLE001 - raised again where the call came from
            failure = error
        pickle.dump((result, failure), answers)
        answers.flush()


if __name__ == "__main__":
    _serve()
