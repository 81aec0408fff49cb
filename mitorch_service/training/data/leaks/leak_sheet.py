"""Draws leaking images beside those that they are like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mitorch_service.errors import DataError
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.data.images.loading import read_image
from mitorch_service.training.data.leaks.leak_check import Leak
from mitorch_service.training.plots.canvas import shorten_path
from mitorch_service.training.plots.sheet import Picture, draw_sheet

_OF_EACH_KIND = 6  # pairs
_SIDE = 160  # pixels
_FILE = 34  # characters


def draw_leaks(leaks: Sequence[Leak], lists: Mapping[str, ImageList], title: str, path: Path) -> Path:
    """Draws the first six pairs of each kind, two in a row. Returns the path of the PNG; images that cannot be
    read are grey."""
    pictures = []
    drawn: Counter[str] = Counter()
    for leak in leaks:
        drawn[leak.kind] += 1
        if drawn[leak.kind] > _OF_EACH_KIND:
            continue
        kind = leak.kind if leak.bits is None else f"{leak.kind}, {leak.bits} of 64 bits differ"
        pictures.append(_picture(lists[leak.split], leak.index, f"{leak.split}: {kind}", leak.image))
        pictures.append(_picture(lists[leak.other_split], leak.other_index, leak.other_split, leak.other_image))
    return draw_sheet(pictures, title, path)


def _picture(images: ImageList, index: int, title: str, file: str) -> tuple[Any, float, Picture]:
    try:
        image = read_image(images.location(index), images.archives, _SIDE).image
    except DataError:
        return np.full((_SIDE, _SIDE, 3), 128, np.uint8), 1.0, Picture(f"{title}\n(cannot be read)")
    longer = max(image.size)
    image.thumbnail((_SIDE, _SIDE))
    shown = shorten_path(file, _FILE)
    return np.asarray(image), max(image.size) / longer, Picture(f"{title}\n{shown}")
