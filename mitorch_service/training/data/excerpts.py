"""Quotes of a data set's files in messages."""

from __future__ import annotations

_MOST = 120  # characters


def excerpt(value: object) -> str:
    """The value with quotes and escapes, cut where it is long: a damaged file may be one line of megabytes."""
    try:
        text = repr(value[: _MOST + 1] if isinstance(value, str) else value)
    except ValueError:  # Python writes no whole number of more than 4300 digits
        return "a number too large to be written"
    return text if len(text) <= _MOST + 2 else f"{text[:_MOST]}…"
