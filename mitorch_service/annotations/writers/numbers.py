"""Numbers as files have them."""

from __future__ import annotations


def decimal(value: float, places: int = 3) -> str:
    """The number with so many decimal places at most: ``12.5``, ``3``. A thousandth of a pixel is kept."""
    text = f"{value:.{places}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
