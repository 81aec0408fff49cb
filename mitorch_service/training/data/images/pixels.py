"""Converts the pixels of an image of any mode to RGB with 8 bits."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, PngImagePlugin, TiffImagePlugin

_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339  # tags of TIFF 6.0; one value for each channel
_WHITE_IS_ZERO = 0  # a photometric interpretation
_UNSIGNED, _SIGNED = 1, 2  # sample formats
_GREY_STEPS = {"L;2": 85, "L;4": 17}  # between the greys of PNG's 2 and 4 bits
_WHITES = (255, 65535, 2**31 - 1, 2**32 - 1)


def to_rgb(image: Image.Image) -> Image.Image:
    """Returns an image of mode RGB. The image must be loaded.

    What is transparent shows white. Grey of more than 8 bits is scaled: 16 bits from 0..65535, fewer or signed ones
    from the range that a TIFF states. Integers of 32 bits and floats have no such range: white is the smallest of 1
    (floats), 255, 65535, 2^31 - 1 and 2^32 - 1 that no value exceeds, or the largest of larger floats. Raises
    ValueError for a mode that it cannot convert.
    """
    if image.mode in ("I", "F") or image.mode.startswith("I;") or _is_signed(image):
        return _scaled(image).convert("RGB")
    if image.mode == "LAB":
        converted = ImageCms.applyTransform(image, _lab_to_rgb())
        assert converted is not None  # not in place
        return converted
    if image.has_transparency_data:
        straight = image.convert("LA") if image.mode == "La" else image  # which Pillow converts to nothing else
        return _on_white(straight.convert("RGBA"))
    return image.convert("RGB")


def match_transparency(image: Image.Image) -> None:
    """Converts the transparent colour of a PNG, which Pillow leaves as it is stored, to the 8 bits of the pixels. The
    image must not be loaded yet."""
    colour = image.info.get("transparency")
    if not isinstance(image, PngImagePlugin.PngImageFile) or colour is None:
        return
    stored = str(image.tile[0].args) if image.tile else ""
    if stored == "RGB;16B":
        image.info["transparency"] = tuple(one >> 8 for one in colour)
    elif stored in _GREY_STEPS:
        image.info["transparency"] = colour * _GREY_STEPS[stored]


def _is_signed(image: Image.Image) -> bool:
    """Whether 8 bits of grey are signed, which Pillow reads as unsigned ones."""
    return image.mode == "L" and _tag(image, _SAMPLE_FORMAT, _UNSIGNED) == _SIGNED


def _on_white(image: Image.Image) -> Image.Image:
    if image.getchannel("A").getextrema() == (255, 255):  # opaque
        return image.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def _scaled(image: Image.Image) -> Image.Image:
    """Grey with 8 bits."""
    values = np.asarray(image)
    if values.dtype == np.uint8:
        values = values.view(np.int8)
    if values.dtype == np.int32 and _tag(image, _SAMPLE_FORMAT, _SIGNED) == _UNSIGNED:
        values = values.view(np.uint32)  # Pillow keeps both in the same mode
    white = _white(image, values)
    grey = np.nan_to_num(values.astype(np.float32), nan=0, posinf=white, neginf=0) * np.float32(255 / white)
    grey = np.rint(grey).clip(0, 255)
    if _tag(image, _PHOTOMETRIC, 1) == _WHITE_IS_ZERO:  # which Pillow regards with 8 bits only
        grey = 255 - grey
    if (transparent := image.info.get("transparency")) is not None:
        grey[values == transparent] = 255
    return Image.fromarray(grey.astype(np.uint8))


def _white(image: Image.Image, values: NDArray[np.generic]) -> float:
    """The value that shows white."""
    bits = _tag(image, _BITS, 16)
    if image.mode != "F" and bits <= 16:
        return float(2 ** (bits - (_tag(image, _SAMPLE_FORMAT, _UNSIGNED) == _SIGNED)) - 1)
    finite = values[np.isfinite(values)]
    largest = float(finite.max()) if finite.size else 0.0
    if image.mode == "F":
        return next((white for white in (1, *_WHITES) if largest <= white), largest)
    return next(white for white in _WHITES if largest <= white)


def _tag(image: Image.Image, tag: int, otherwise: int) -> int:
    """The value of a TIFF's tag for the first channel; `otherwise` for another format."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return otherwise
    value = image.tag_v2.get(tag, 1)
    return int(value[0] if isinstance(value, tuple) else value)


@cache
def _lab_to_rgb() -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
