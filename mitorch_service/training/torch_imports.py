"""Keeps the garbage collector from scanning torch's modules over and over."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def heavy_imports() -> Iterator[None]:
    """Disables garbage collection during the import of the engine, then freezes the imported objects.

    torch and its dependencies create half a million objects that live until the process ends. Collecting during
    their import takes a quarter of its time, and each later full collection, in the middle of training, another
    quarter of a second.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        atexit.register(gc.unfreeze)  # else libraries report leaked objects at exit
        if was_enabled:
            gc.enable()
