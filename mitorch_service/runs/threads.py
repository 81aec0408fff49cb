"""Threads of a run, with what they wait on. The simulation of tests/simulation has its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any


class Threads:
    """Python's own threads."""

    def event(self) -> threading.Event:
        """Returns an event that is not set."""
        return threading.Event()

    def queue(self) -> queue.Queue[Any]:
        """Returns an empty queue."""
        return queue.Queue()

    def start(self, work: Callable[[], None], name: str) -> threading.Thread:
        """Starts a thread that does not keep the process alive."""
        thread = threading.Thread(target=work, name=name, daemon=True)
        thread.start()
        return thread


THREADS = Threads()
