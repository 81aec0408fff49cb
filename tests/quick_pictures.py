"""Pictures that are written without being drawn, for tests of anything but pictures: a third of a tiny run."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np

_PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)


def write_pixel(_: object, path: str | Path, **options: Any) -> None:
    """In place of matplotlib's `Figure.savefig`: writes a PNG of one pixel."""
    Path(path).write_bytes(_PIXEL)


class BlankFigure:
    """In place of a `Figure` of matplotlib: takes whatever is drawn, and is saved as one pixel."""

    savefig = write_pixel

    def __init__(self, **options: Any) -> None: ...

    def subplots(self, rows: int = 1, columns: int = 1, *, squeeze: bool = True, **options: Any) -> Any:
        """Returns axes as matplotlib does: an array, a row or a column, or only one."""
        axes = np.empty((rows, columns), object)
        for place in np.ndindex(axes.shape):
            axes[place] = MagicMock()
        return axes if not squeeze else axes.item() if axes.size == 1 else axes.squeeze()

    def __getattr__(self, name: str) -> Any:
        return MagicMock()
