"""Reads the size of an image from the head of its file."""

from __future__ import annotations

from PIL import ExifTags

from mitorch_service.errors import DataError
from mitorch_service.training.data.image_list import ImageLocation
from mitorch_service.training.data.images.image_files import DAMAGES, image_file, open_image
from mitorch_service.training.data.zip_index import ZipFiles

_SWAPPED = (5, 6, 7, 8)  # EXIF orientations that turn an image on its side


def upright_size(location: ImageLocation, archives: ZipFiles) -> tuple[int, int] | None:
    """Width and height as the image is to be seen, turned by its EXIF orientation; None if it cannot be read."""
    try:
        with open_image(image_file(location, archives)) as image:
            width, height = image.size
            # Pillow turns a TIFF's size itself
            turned = image.format != "TIFF" and image.getexif().get(ExifTags.Base.Orientation) in _SWAPPED
    except (DataError, *DAMAGES):
        return None
    return (height, width) if turned else (width, height)
