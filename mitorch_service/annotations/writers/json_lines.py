"""JSON, an object a line for each image, as they come."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, TextIO

from mitorch_service.annotations.annotated_image import AnnotatedImage, Box, Label
from mitorch_service.wording.control_characters import json_text

_SIDES = ("x_min", "y_min", "x_max", "y_max")
_DECIMALS = 2  # of a pixel


def write_json_lines(images: Iterable[AnnotatedImage], file: TextIO) -> None:
    """Writes ``image``, ``width``, ``height``, ``labels`` and ``boxes``, each of these with ``class`` and ``score``,
    boxes with their corners in pixels of the upright image."""
    for image in images:
        found: dict[str, Any] = {
            "image": image.path,
            "width": image.width,
            "height": image.height,
            "labels": [{"class": label.class_name, "score": _score(label)} for label in image.labels],
            "boxes": [
                {"class": box.class_name, "score": _score(box), **dict(zip(_SIDES, _corners(box), strict=True))}
                for box in image.boxes
            ],
        }
        file.write(json_text(json.dumps(found)) + "\n")


def _score(found: Label | Box) -> float | None:
    """Returns six significant digits."""
    return None if found.score is None else float(f"{found.score:.6g}")


def _corners(box: Box) -> list[float]:
    return [round(side, _DECIMALS) for side in (box.left, box.top, box.right, box.bottom)]
