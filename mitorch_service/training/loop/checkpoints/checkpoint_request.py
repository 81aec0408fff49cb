"""Asks a running training for a checkpoint at its next step, from another thread: its machine is about to end it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class CheckpointRequest:
    """One request, made once at most."""

    def __init__(self) -> None:
        self._is_training = threading.Event()
        self._made = threading.Event()
        self._answered = threading.Event()

    @contextmanager
    def while_training(self) -> Iterator[None]:
        """Marks the time in which a request can be answered."""
        self._is_training.set()
        try:
            yield
        finally:
            self._is_training.clear()

    def wait_for_checkpoint(self, seconds: float) -> bool:
        """Makes the request and waits; returns whether a state of after it was stored. False at once before the
        training's first step and after its last. A script hears of it by `should_stop()`."""
        if not self._is_training.is_set():
            return False
        self._made.set()
        return self._answered.wait(seconds)

    def is_made(self) -> bool:
        """Whether a checkpoint was asked for, stored or not."""
        return self._made.is_set()

    def is_open(self) -> bool:
        """Whether a checkpoint is asked for and not stored yet."""
        return self._made.is_set() and not self._answered.is_set()

    def answer(self) -> None:
        """A state of after the request was stored."""
        self._answered.set()
