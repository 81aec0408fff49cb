"""Limits the threads of numerical libraries while a search suggests trials."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limits BLAS to one thread, within this context: the matrices of a suggestion are small, and on a busy machine
    threads that wait for one another take nine times as long. Does nothing where no sampler has loaded NumPy."""
    if "numpy" not in sys.modules or importlib.util.find_spec("threadpoolctl") is None:
        yield
        return
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        yield
