"""Reads the size of an image from the head of its file."""

from __future__ import annotations

from io import BytesIO

from PIL import ExifTags, Image

from mitorch_service.training.data.image_list import ImageLocation
from mitorch_service.training.data.zip_index import ZipFiles

_SWAPPED = (5, 6, 7, 8)  # EXIF orientations that turn an image on its side


def upright_size(location: ImageLocation, archives: ZipFiles) -> tuple[int, int]:
    """Width and height as the image is to be seen, turned by its EXIF orientation. Raises Pillow's errors, OSError and
    those of `ZipFiles.read`."""
    file = location.path if location.entry is None else BytesIO(archives.read(location.path, location.entry))
    with Image.open(file) as image:
        width, height = image.size
        turned = image.format != "TIFF" and image.getexif().get(ExifTags.Base.Orientation) in _SWAPPED
    return (height, width) if turned else (width, height)  # Pillow turns a TIFF's size itself
