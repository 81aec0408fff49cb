"""Creates and saves matplotlib figures without a display. matplotlib is imported only when something is drawn."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from mitorch_service.errors import MissingExtra

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#3366cc", "#dc3912", "#ff9900", "#109618", "#990099", "#0099c6", "#dd4477", "#66aa00", "#8c564b", "#555555")


def new_figure(width: float, height: float) -> Figure:
    """Returns a figure of this size in inches. Raises MissingExtra if matplotlib is not installed."""
    try:
        from matplotlib import rcParams
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("matplotlib", "train") from None
    rcParams["text.parse_math"] = False  # a class may be called "$5 to $10"
    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Figure, path: Path) -> Path:
    """Writes a PNG at 100 dpi; returns the path."""
    with warnings.catch_warnings():  # a box is drawn for each letter of a class's name that the font lacks
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        figure.savefig(path, dpi=100, format="png")
    return path


def shorten(name: str, most: int = 18) -> str:
    """Truncates a class's name to `most` characters, and makes it drawable."""
    name = drawable(name)
    return name if len(name) <= most else f"{name[: most - 1]}…"


def shorten_path(path: str, most: int) -> str:
    """Keeps the last `most` characters of a path, and makes it drawable."""
    path = drawable(path)
    return path if len(path) <= most else f"…{path[1 - most :]}"


def drawable(text: str) -> str:
    """Replaces what no font has: line ends, control characters, bytes that are not UTF-8."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
