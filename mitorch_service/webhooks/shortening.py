"""Fits texts of people into messages."""

from __future__ import annotations

_LINE = 150  # characters
_TEXT = 1500


def on_one_line(text: str) -> str:
    """Returns the text with single spaces, at most 150 characters, without control characters."""
    return _cut(" ".join(_printable(text).split()), _LINE)


def shortened(text: str) -> str:
    """Returns at most 1500 characters, without control characters but for the ends of lines."""
    return _cut(_printable(text).strip(), _TEXT)


def _printable(text: str) -> str:
    return "".join(one if one.isprintable() or one == "\n" else " " for one in text)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
