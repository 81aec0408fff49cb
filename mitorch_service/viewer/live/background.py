"""Results that take longer than a request may: computed once in the background, and kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Result = TypeVar("Result")


@dataclass
class _Entry(Generic[Result]):
    done: threading.Event = field(default_factory=threading.Event)
    result: Result | None = None
    error: Exception | None = None


class Background(Generic[Result]):
    """Called from the threads of requests. One at a time is computed; what is not asked for any more is forgotten."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._entries: OrderedDict[Hashable, _Entry[Result]] = OrderedDict()
        self._lock = threading.Lock()
        self._turn = threading.Semaphore(1)

    def get(self, key: Hashable, compute: Callable[[], Result], seconds: float) -> Result | None:
        """The result for this key, or None if it is not there after so many seconds: ask again. Raises what `compute`
        raised, which is not remembered."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                entry = self._entries[key] = _Entry()
                threading.Thread(target=self._compute, args=(entry, compute), daemon=True, name="background").start()
            self._entries.move_to_end(key)
            while len(self._entries) > self._most:
                self._entries.popitem(last=False)
        entry.done.wait(seconds)
        if entry.error is not None:
            with self._lock:
                self._entries.pop(key, None)
            raise entry.error
        return entry.result

    def _compute(self, entry: _Entry[Result], compute: Callable[[], Result]) -> None:
        try:
            with self._turn:
                entry.result = compute()
        except Exception as error:  # noqa: BLE001 - raised for those who wait for it
            entry.error = error
        finally:
            entry.done.set()
