"""Opens images by their content, within limits, without decoding them."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageFile, TiffImagePlugin, UnidentifiedImageError

from mitorch_service.errors import DataError
from mitorch_service.training.data.image_list import ImageLocation
from mitorch_service.training.data.regular_files import open_binary
from mitorch_service.training.data.zip_index import ZipFiles

# Pillow's decoders raise all of these for damaged files
DAMAGES = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    RuntimeError,  # of AVIF
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    MemoryError,
    struct.error,
    zlib.error,
)
_READ = (
    *("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "MPO", "PPM"),
    *("DIB", "DDS", "PCX", "PSD", "QOI", "SGI", "TGA"),
)
_TIFF_WIDTH, _TIFF_HEIGHT = 256, 257  # tags
Image.MAX_IMAGE_PIXELS = None  # decoding has a limit of its own, which the config sets; Pillow's would also warn


class Limits(NamedTuple):
    """The largest image that is read."""

    pixels: int  # width times height
    unpacked: int  # bytes of an entry in a zip archive


DEFAULT_LIMITS = Limits(128_000_000, 1 << 30)


def image_file(location: ImageLocation, archives: ZipFiles, limits: Limits = DEFAULT_LIMITS) -> Path | BytesIO:
    """The file of an image, or its unpacked entry. Raises DataError for an entry that cannot be unpacked."""
    if location.entry is None:
        return location.path
    try:
        archive = archives.at(location.path)
        size = archive.size(location.entry)
        if size > limits.unpacked:
            raise DataError(
                f"the image {location} has {size / 2**30:.3g} GiB when unpacked, more than data.max_unpacked_size "
                f"allows ({limits.unpacked / 2**30:.3g}). Raise that limit in the config if it is meant so; else "
                "replace it, or remove its line."
            )
        return BytesIO(archive.read(location.entry))
    except KeyError:
        raise DataError(f"the zip file {location.path} has no entry {location.entry!r}.") from None
    except FileNotFoundError:
        raise DataError(f"the image {location} is missing.") from None
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"the image {location} cannot be decoded ({error}). Replace it, or remove its line.") from error


@contextmanager
def open_image(file: Path | BytesIO) -> Iterator[ImageFile.ImageFile]:
    """Opens an image by its content, whatever its name, without reading its pixels. Raises as `decode` does."""
    with file if isinstance(file, BytesIO) else open_binary(file) as opened:
        try:
            image = Image.open(opened, formats=_formats())
        except UnidentifiedImageError:
            raise UnidentifiedImageError(f"not an image in one of the formats {', '.join(_formats())}") from None
        with image:
            yield image


def read_size(location: ImageLocation, archives: ZipFiles) -> tuple[int, int] | None:
    """Width and height as stored, or None for a file that is not an image."""
    try:
        with open_image(image_file(location, archives)) as image:
            return stored_size(image)
    except (DataError, *DAMAGES):
        return None


def stored_size(image: Image.Image) -> tuple[int, int]:
    """Width and height before the orientation is applied: of a TIFF, Pillow gives those after it."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return image.tag_v2[_TIFF_WIDTH], image.tag_v2[_TIFF_HEIGHT]
    return image.size


@cache
def _formats() -> tuple[str, ...]:
    """The formats that are read: no vector graphics, for which Pillow starts Ghostscript, and no containers."""
    Image.init()
    return tuple(one for one in _READ if one in Image.OPEN)
