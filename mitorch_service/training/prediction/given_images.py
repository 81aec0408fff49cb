"""The images that a program may give: paths, PIL images, NumPy arrays."""

from __future__ import annotations

from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mitorch_service.errors import InvalidInput, Problem

ImageInput = str | PathLike[str] | Image.Image | NDArray[Any]


def as_image(given: object, place: int) -> Image.Image:
    """Returns a PIL image of one in memory. Raises InvalidInput for an array of another shape or type."""
    if isinstance(given, Image.Image):
        return given
    where = f"images[{place}]"
    if not isinstance(given, np.ndarray):
        hint = f"must be a path, a PIL image or a NumPy array (it is a {type(given).__name__})"
        raise InvalidInput("predict", [Problem(where, hint)])
    grey, colour = given.ndim == 2, given.ndim == 3 and given.shape[2] == 3
    if not (grey or colour) or given.size == 0:
        hint = f"must have the shape (height, width, 3) or (height, width) (it has {given.shape})"
        raise InvalidInput("predict", [Problem(where, hint)])
    if given.dtype != np.uint8:
        hint = f"must be uint8, 0..255 (it is {given.dtype}): convert values in 0..1 by (255 * image).astype('uint8')"
        raise InvalidInput("predict", [Problem(where, hint)])
    return Image.fromarray(np.ascontiguousarray(given))
