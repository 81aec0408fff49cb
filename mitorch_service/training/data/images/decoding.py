"""Decodes image files to upright RGB pixels."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from mitorch_service.training.data.images.image_files import open_image, stored_size
from mitorch_service.training.data.images.pixels import match_transparency, to_rgb
from mitorch_service.training.data.targets import Boxes

# By EXIF orientation: how to turn the stored pixels, and below the same for x and y in 0..1.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SWAPPED = (5, 6, 7, 8)  # width and height are swapped
_MIRRORED_X = (2, 3, 6, 7)  # x is mirrored, after the swap
_MIRRORED_Y = (3, 4, 7, 8)


@dataclass(frozen=True)
class Picture:
    """An upright image, and how it was made from the stored pixels."""

    image: Image.Image  # RGB
    stored_size: tuple[int, int]  # width and height in the file
    orientation: int = 1  # EXIF's, 1 to 8

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height of the whole image, turned by its orientation; `image` may be decoded smaller."""
        width, height = self.stored_size
        return (height, width) if self.orientation in _SWAPPED else (width, height)

    def map_boxes(self, stored: Boxes) -> Boxes:
        """Converts boxes from pixels of the file to pixels of `image`. Clips them to the file's edges first, and leaves
        out those with no area left."""
        size = np.array(self.stored_size, np.float32)
        corners = np.clip(stored.boxes.reshape(-1, 2, 2), 0, size) / size  # K, (min, max), (x, y) in 0..1
        if self.orientation in _SWAPPED:
            corners = corners[..., ::-1]
        for axis, mirrored in enumerate((_MIRRORED_X, _MIRRORED_Y)):
            if self.orientation in mirrored:
                corners = corners.copy()
                corners[..., axis] = 1 - corners[:, ::-1, axis]
        kept = (corners[:, 1] > corners[:, 0]).all(1)
        boxes = (corners * np.array(self.image.size, np.float32)).reshape(-1, 4)
        return Boxes(stored.labels[kept], np.ascontiguousarray(boxes[kept], np.float32))


class TooManyPixels(ValueError):
    """An image has more pixels than allowed."""


def decode(file: Path | BytesIO, shorter_side: int | None = None, max_pixels: int | None = None) -> Picture:
    """Reads an image of any mode as RGB (`to_rgb`), turned by its EXIF orientation.

    A JPEG is decoded at a half, a quarter or an eighth of its size, in a fraction of the time, as long as its shorter
    side keeps at least `shorter_side` pixels. Raises TooManyPixels, OSError for a path (`open_binary`), and Pillow's
    errors, which are `DAMAGES`.
    """
    with open_image(file) as image:
        size = stored_size(image)
        if max_pixels is not None and size[0] * size[1] > max_pixels:
            raise TooManyPixels(f"{size[0]}x{size[1]} pixels")
        match_transparency(image)
        orientation = _orientation(image)  # loads a PNG
        if shorter_side is not None and image.format == "JPEG":
            factor = shorter_side / min(size)
            image.draft("RGB", (round(size[0] * factor), round(size[1] * factor)))
        image.load()
        turn = _TURNS.get(_orientation(image))  # none is left of a TIFF's, which Pillow applies itself
        rgb = to_rgb(image)
    return Picture(rgb.transpose(turn) if turn is not None else rgb, size, orientation)


def upright(image: Image.Image) -> Picture:
    """Makes a picture of an image in memory as `decode` does of a file. Raises Pillow's errors, which are `DAMAGES`."""
    match_transparency(image)
    orientation = _orientation(image)
    image.load()
    turn = _TURNS.get(_orientation(image))
    size = (image.height, image.width) if turn is None and orientation in _SWAPPED else image.size
    rgb = to_rgb(image)
    return Picture(rgb.transpose(turn) if turn is not None else rgb, size, orientation)


def _orientation(image: Image.Image) -> int:
    """EXIF's, 1 to 8; 1 for anything else."""
    value = image.getexif().get(ExifTags.Base.Orientation, 1)
    return value if isinstance(value, int) and value in _TURNS else 1
