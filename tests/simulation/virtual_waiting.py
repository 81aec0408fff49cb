"""Time, events, queues and threads of simulated processes, in the place of Python's."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from mitorch_service.runs.threads import Threads
from mitorch_service.stores import patience
from tests.simulation.scheduler import Process, Scheduler, Thread


class VirtualEvent(threading.Event):
    """An event between simulated threads."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._is_set = False

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True
        self._scheduler.wake()

    def clear(self) -> None:
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        return self._scheduler.wait(lambda: self._is_set, timeout)


class VirtualQueue:
    """A queue between simulated threads."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._items: deque[Any] = deque()

    def put(self, item: Any) -> None:
        self._items.append(item)
        self._scheduler.wake()

    def get(self, timeout: float | None = None) -> Any:
        if not self._scheduler.wait(lambda: bool(self._items), timeout):
            raise queue.Empty
        return self._items.popleft()


class VirtualThread:
    """A started thread."""

    def __init__(self, scheduler: Scheduler, thread: Thread) -> None:
        self._scheduler, self._thread = scheduler, thread

    def join(self, timeout: float | None = None) -> None:
        self._scheduler.wait(lambda: self._thread.ended, timeout)


class VirtualThreads(Threads):
    """The threads of one simulated process."""

    def __init__(self, scheduler: Scheduler, process: Process) -> None:
        self._scheduler, self._process = scheduler, process

    def event(self) -> threading.Event:
        return VirtualEvent(self._scheduler)

    def queue(self) -> queue.Queue[Any]:
        return cast("queue.Queue[Any]", VirtualQueue(self._scheduler))

    def start(self, work: Callable[[], None], name: str) -> threading.Thread:
        scheduler = self._scheduler

        def run() -> None:
            try:
                work()
            finally:
                scheduler.wake()

        thread = scheduler.start(self._process, run)
        return cast("threading.Thread", VirtualThread(scheduler, thread))


class _Time:
    """The module `time`, as far as waiting for a database needs it."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def monotonic(self) -> float:
        return self._scheduler.now

    def sleep(self, seconds: float) -> None:
        self._scheduler.sleep(seconds)


class _Middle:
    """The module `random`, without chance."""

    def uniform(self, low: float, high: float) -> float:
        return (low + high) / 2


@contextmanager
def virtual_patience(scheduler: Scheduler) -> Iterator[None]:
    """Lets whoever waits for a database wait by the virtual clock."""
    names = ("time", "random")  # set without `unittest.mock`, which takes as long as a pass
    before = {name: getattr(patience, name) for name in names}
    try:
        for name, part in zip(names, (_Time(scheduler), _Middle()), strict=True):
            setattr(patience, name, part)
        yield
    finally:
        for name, part in before.items():
            setattr(patience, name, part)
