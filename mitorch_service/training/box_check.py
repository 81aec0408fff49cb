"""Whether boxes lie within their images, where the file of the data set does not have the images' sizes."""

from __future__ import annotations

import zipfile
from io import BytesIO

from PIL import Image

from mitorch_service.training.box_list import BoxFlaws
from mitorch_service.training.image_list import ImageList, ImageLocation
from mitorch_service.training.targets import Boxes
from mitorch_service.training.zip_files import ZipFiles

_MOST_IMAGES = 10_000  # whose sizes are read: some seconds; more take too long to wait for


def tell_boxes_beyond(image_list: ImageList) -> None:
    """Logs how many boxes lie beyond their images, in whole or in part, of the first 10,000 images.

    Reads the head of each image file; what has none is left to the training, which names it. What is beyond is cut off
    when the image is loaded.
    """
    if image_list.kind != "detection":
        return
    flaws = BoxFlaws(image_list.name)
    for index in range(min(len(image_list), _MOST_IMAGES)):
        target = image_list.target(index)
        if isinstance(target, Boxes) and len(target):
            size = _size(image_list.location(index), image_list.archives)
            for x_min, y_min, x_max, y_max in target.boxes.tolist() if size else []:
                flaws.usable((x_min, y_min, x_max, y_max), size)
    flaws.tell()


def _size(location: ImageLocation, archives: ZipFiles) -> tuple[int, int] | None:
    """Width and height as stored, or None for what is no image."""
    try:
        file = location.path if location.entry is None else BytesIO(archives.read(location.path, location.entry))
        with Image.open(file) as image:
            return image.size
    except (OSError, ValueError, SyntaxError, KeyError, RuntimeError, zipfile.BadZipFile, Image.DecompressionBombError):
        return None
