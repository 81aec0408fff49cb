"""Processes under one scheduler with a virtual clock: whatever would run at once runs here in turn, call by call.

Each thread of a process is a greenlet. Wherever it would leave its process (a call to the database or to a cluster, a
wait), it gives control to the scheduler, which decides who goes on, and what becomes of the call.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from heapq import heappop, heappush
from itertools import count
from typing import TypeVar

from greenlet import greenlet  # type: ignore[import-untyped]

Result = TypeVar("Result")
MOST_CALM_STEPS = 60_000


class Killed(BaseException):
    """The process is no more, whatever would handle an error."""


class Violation(BaseException):
    """A promise is broken. Nothing in a process handles it."""


class Fate(Enum):
    """The fate of one call."""

    DONE = auto()
    FAILS_BEFORE = auto()  # an error is raised, nothing was done
    FAILS_AFTER = auto()  # it was done, and an error is raised: the answer was lost
    FAILS_HALF = auto()  # of several changes some were made
    REPEATED = auto()  # the driver made it twice, and has the second answer
    DIES_AFTER = auto()  # it was done, and the process dies
    LATE = auto()  # it is done, and its answer comes much later


class Process:
    """Threads that die together."""

    def __init__(self, name: str, offset: float = 0.0) -> None:
        """`offset`: seconds by which its clock is ahead."""
        self.name = name
        self.offset = offset
        self.threads: list[Thread] = []
        self.dead = False
        self.hung = False  # stopped for good: it can only be killed
        self.stopped_until = 0.0
        self.on_end: Callable[[], None] = lambda: None


class Thread:
    """A thread of control; `label`: the call that it is about to make."""

    def __init__(self, process: Process, work: Callable[[], None]) -> None:
        self.process = process
        self.label = "begin"
        self.fate = Fate.DONE
        self.greenlet = greenlet(work)
        self.ready = False
        self.ended = False
        self.wake_at: float | None = None
        self.calls = False  # whether a call is what it waits with, so that it has a fate
        self.many = False  # whether that call makes several changes
        self.waits = False  # for something that another thread does


class Scheduler:
    """Runs threads one at a time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.current: Thread | None = None
        self.failed: Violation | None = None
        self.ready: deque[Thread] = deque()
        self.late = 600.0  # seconds that a late answer takes
        self.calm_steps: int | None = None  # calls since nothing goes wrong any more
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._waiting: deque[Thread] = deque()

    def start(self, process: Process, work: Callable[[], None]) -> Thread:
        """Adds a thread to a process; it runs when it is its turn."""
        thread = Thread(process, work)
        process.threads.append(thread)
        self._make_ready(thread)
        return thread

    def at(self, time: float, what: Callable[[], None]) -> None:
        """Calls a function at a time."""
        heappush(self._timers, (time, next(self._numbers), what))

    def after(self, seconds: float, what: Callable[[], None]) -> None:
        """Calls a function after some seconds."""
        self.at(self.now + seconds, what)

    def call(
        self,
        label: str,
        effect: Callable[[], Result],
        failure: Callable[[], Exception],
        half: Callable[[], object] | None = None,
    ) -> Result:
        """Makes a call of the current thread, with the fate that the scheduler gives it. Outside of all threads it is
        just made. `half`: makes a part of its changes."""
        thread = self.current
        if thread is None:
            return effect()
        if self.calm_steps is not None and self._goes_on(thread):
            self.calm_steps += 1
            return effect()
        thread.label, thread.calls, thread.many = label, True, half is not None
        self._make_ready(thread)
        self._leave(thread)
        thread.calls = False
        fate, thread.fate = thread.fate, Fate.DONE
        if fate is Fate.DONE:
            return effect()
        if fate is Fate.FAILS_BEFORE:
            raise failure()
        if fate is Fate.FAILS_HALF and half is not None:
            half()
            raise failure()
        result = effect()
        if fate is Fate.FAILS_AFTER:
            raise failure()
        if fate is Fate.REPEATED:
            return effect()
        if fate is Fate.DIES_AFTER:
            self.kill(thread.process)
        if fate is Fate.LATE:
            self.sleep(self.late)
        return result

    def sleep(self, seconds: float) -> None:
        """Lets time pass for the current thread."""
        thread = self._own()
        thread.label = "sleep"
        self._wake_after(thread, seconds)
        self._leave(thread)

    def wait(self, until: Callable[[], bool], seconds: float | None) -> bool:
        """Waits until something holds or time is over; returns whether it holds. Whoever makes it hold calls `wake`."""
        thread = self._own()
        end = None if seconds is None else self.now + seconds
        while not until():
            if end is not None and self.now >= end:
                return False
            thread.label = "wait"
            if end is not None:
                self._wake_after(thread, end - self.now)
            self._waiting.append(thread)
            thread.waits = True
            self._leave(thread)
            thread.waits = False
        return True

    def wake(self) -> None:
        """Lets those look again who wait for something."""
        waiting, self._waiting = self._waiting, deque()
        for thread in waiting:
            if thread.waits and not thread.ended and not thread.ready:
                self._make_ready(thread)

    def kill(self, process: Process) -> None:
        """Kills a process with all its threads."""
        if process.dead:
            return
        process.dead = True
        current = self.current
        for thread in process.threads:
            if thread is not current and not thread.ended:
                self._end(thread)
        self.current = current
        process.on_end()
        if current is not None and current.process is process:
            raise Killed

    def stop(self, process: Process, seconds: float | None) -> None:
        """Stops a process (SIGSTOP) for some seconds, or for good."""
        process.hung |= seconds is None
        process.stopped_until = max(process.stopped_until, self.now + (seconds or 0.0))
        if seconds is not None:
            self.after(seconds, lambda: None)

    def runnable(self) -> list[Thread]:
        """The threads that could go on now."""
        now = self.now
        return [t for t in self.ready if not t.process.hung and t.process.stopped_until <= now]

    def first(self) -> Thread | None:
        """The one that has waited longest of them."""
        now = self.now
        for thread in self.ready:
            if not thread.process.hung and thread.process.stopped_until <= now:
                return thread
        return None

    def resume(self, thread: Thread, fate: Fate = Fate.DONE) -> None:
        """Lets a ready thread go on to its next call. Raises Violation."""
        if self.ready[0] is thread:
            self.ready.popleft()
        else:
            self.ready.remove(thread)
        thread.ready, thread.wake_at, thread.fate = False, None, fate
        self._switch(thread)

    def advance(self) -> bool:
        """Lets time pass until something is due; returns whether anything is."""
        if not self._timers:
            return False
        time, _, what = heappop(self._timers)
        self.now = max(self.now, time)
        what()
        self._check()
        return True

    def _goes_on(self, thread: Thread) -> bool:
        """Whether a thread that gave control away now would be the next one, so that it need not."""
        if self.first() is not None or self.calm_steps == MOST_CALM_STEPS:
            return False
        process = thread.process
        return not (process.dead or process.hung or process.stopped_until > self.now or self.failed is not None)

    def _own(self) -> Thread:
        if self.current is None:
            raise AssertionError("only a thread can wait")
        return self.current

    def _wake_after(self, thread: Thread, seconds: float) -> None:
        at = thread.wake_at = self.now + max(0.0, seconds)

        def wake() -> None:
            if thread.wake_at == at and not thread.ended and not thread.ready:
                self._make_ready(thread)

        self.at(at, wake)

    def _make_ready(self, thread: Thread) -> None:
        thread.ready = True
        self.ready.append(thread)

    def _leave(self, thread: Thread) -> None:
        if thread.process.dead or self.failed is not None:
            if thread.ready:
                self.ready.remove(thread)
                thread.ready = False
            raise Killed
        parent = thread.greenlet.parent
        assert parent is not None
        parent.switch()

    def _switch(self, thread: Thread) -> None:
        before, self.current = self.current, thread
        thread.greenlet.parent = greenlet.getcurrent()
        try:
            thread.greenlet.switch()
        except Killed:
            thread.ended = True
        except Violation as violation:
            thread.ended = True
            self.failed = self.failed or violation
        finally:
            self.current = before
        if thread.ended or thread.greenlet.dead:
            thread.ended = True
            process = thread.process
            if not process.dead and all(one.ended for one in process.threads):
                process.dead = True
                process.on_end()
        self._check()

    def _end(self, thread: Thread) -> None:
        if thread.ready:
            self.ready.remove(thread)
            thread.ready = False
        thread.ended = True
        if thread.greenlet.gr_frame is None:  # it has not begun
            thread.greenlet.throw(greenlet.GreenletExit)
            return
        before, self.current = self.current, thread
        thread.greenlet.parent = greenlet.getcurrent()
        try:
            thread.greenlet.throw(Killed)
        except Killed:
            pass
        finally:
            self.current = before

    def _check(self) -> None:
        if self.failed is not None and self.current is None:
            raise self.failed
