"""Decides whether networks fetch the pretrained weights that their configs ask for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_fetching: ContextVar[bool] = ContextVar("fetching", default=True)


@contextmanager
def no_downloads() -> Iterator[None]:
    """Has networks built as pretrained ones are (some then have other layers), but with random weights, because all
    of them are to be replaced by those of a file."""
    token = _fetching.set(False)
    try:
        yield
    finally:
        _fetching.reset(token)


def fetches(pretrained: bool) -> bool:
    """Whether the weights of a network that is to be `pretrained` are fetched."""
    return pretrained and _fetching.get()
