"""Importing torch without the garbage collector walking over it again and again."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def heavy_imports() -> Iterator[None]:
    """Put around the import of the engine in a process that trains.

    torch and what it brings are half a million objects that stay for good. Collecting while they arrive takes a
    quarter of their import's time, and each full collection afterwards, in the midst of training, a quarter of a
    second more. So the collector pauses, then leaves alone what is there, until the interpreter ends.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        atexit.register(gc.unfreeze)  # else libraries complain of objects that they see leaked
        if was_enabled:
            gc.enable()
