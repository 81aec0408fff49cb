"""Pictures that are written without being drawn, for tests of anything but pictures: they take half of a tiny run."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

_PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)


def write_pixel(_: object, path: str | Path, **options: Any) -> None:
    """In place of matplotlib's `Figure.savefig`: writes a PNG of one pixel."""
    Path(path).write_bytes(_PIXEL)
