"""Draws images whose labels may be wrong, with what models say instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mitorch_service.annotations.annotated_image import Box
from mitorch_service.errors import DataError
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.data.images.loading import read_image
from mitorch_service.training.plots.canvas import shorten_path
from mitorch_service.training.plots.sheet import DrawnBox, Picture, draw_sheet
from mitorch_service.training.suspects.ranking import Suspect

MOST_DRAWN = 60
_SIDE = 200  # pixels of the longer side
_FILE = 34  # characters


def draw_suspects(suspects: Sequence[Suspect], lists: Mapping[str, ImageList], title: str, path: Path) -> Path:
    """Draws the first 60, four in a row; returns the path of the PNG. Labels and boxes of the data set are green, those
    that are suggested red."""
    pictures = [_picture(one, lists[one.split]) for one in suspects[:MOST_DRAWN]]
    return draw_sheet(pictures, title, path, ("labelled", "suggested"))


def _picture(one: Suspect, images: ImageList) -> tuple[Any, float, Picture]:
    boxes = [
        _drawn(box, true)
        for box, true in ((one.box, True), (one.suggested_box, False))
        if box is not None and not (one.kind == "wrong class" and not true)
    ]
    title = f"{shorten_path(one.image, _FILE)}\n{describe(one)} {one.score:.2f}"
    try:
        image = read_image(images.location(one.index), images.archives).image
    except DataError:
        return np.full((_SIDE, _SIDE, 3), 128, np.uint8), 1.0, Picture(title)
    longer = max(image.size)
    scale = min(1.0, _SIDE / longer)
    image = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    return np.asarray(image), scale, Picture(title, boxes)


def describe(one: Suspect) -> str:
    """The suspicion in a few words: ``cat: dog?``, ``missed: cat?``."""
    if one.label is None:
        return f"missing: {one.suggested}?"
    if one.kind in ("label", "wrong class"):
        return f"{one.label}: {one.suggested or 'not there'}?"
    return f"{one.kind}: {one.label}?"


def _drawn(box: Box, true: bool) -> DrawnBox:
    return DrawnBox((box.left, box.top, box.right, box.bottom), box.class_name, true)
