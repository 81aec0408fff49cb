"""From the bytes of an image file to upright RGB pixels."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from mitorch_service.training.data.targets import Boxes

_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")
# By EXIF's orientation: how the stored pixels are to be turned, and the same for x and y in 0..1.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SWAPPED = (5, 6, 7, 8)  # width and height change places
_MIRRORED_X = (2, 3, 6, 7)  # x runs the other way, after the change of places
_MIRRORED_Y = (3, 4, 7, 8)


@dataclass(frozen=True)
class Picture:
    """An image as it is to be looked at, and what was done to the stored pixels to get there."""

    image: Image.Image  # RGB
    stored_size: tuple[int, int]  # width and height in the file
    orientation: int = 1  # EXIF's, 1 to 8

    def place(self, stored: Boxes) -> Boxes:
        """Boxes in pixels of the file, cut off at its edges, in pixels of `image`; those with an area left."""
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


def decode(file: Path | BytesIO, shorter_side: int | None = None) -> Picture:
    """Reads a picture of any kind: turned as its EXIF orientation says, grey of 16 bits scaled to 8.

    A JPEG is decoded at a half, a quarter or an eighth of its size where its shorter side is still at least
    `shorter_side` pixels then, which takes a fraction of the time. Raises what Pillow raises.
    """
    with Image.open(file) as image:
        stored_size = image.size
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        if shorter_side is not None and image.format == "JPEG":
            factor = shorter_side / min(stored_size)
            image.draft("RGB", (round(stored_size[0] * factor), round(stored_size[1] * factor)))
        turn = _TURNS.get(orientation)
        rgb = _as_rgb(image)
    return Picture(
        rgb.transpose(turn) if turn is not None else rgb, stored_size, orientation if turn is not None else 1
    )


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode in _SIXTEEN_BITS or (image.mode == "I" and image.format == "PNG"):  # Pillow would cut off at 255
        values = np.asarray(image).astype(np.uint32)
        image = Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # Pillow warns of anything more direct
    return image.convert("RGB")
