"""Whether boxes lie within their images, where the file of the data set does not have the images' sizes."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path

from PIL import Image

from mitorch_service.training.box_list import BoxFlaws
from mitorch_service.training.image_list import ImageList, ImageLocation
from mitorch_service.training.targets import Boxes

_MOST_IMAGES = 10_000  # whose sizes are read: some seconds; more take too long to wait for


def tell_boxes_beyond(image_list: ImageList) -> None:
    """Logs how many boxes lie beyond their images, in whole or in part, of the first 10,000 images.

    Reads the head of each image file; what has none is left to the training, which names it. What is beyond is cut off
    when the image is loaded.
    """
    if image_list.kind != "detection":
        return
    flaws, archives = BoxFlaws(image_list.name), dict[Path, zipfile.ZipFile]()
    try:
        for index in range(min(len(image_list), _MOST_IMAGES)):
            target = image_list.target(index)
            if isinstance(target, Boxes) and len(target):
                size = _size(image_list.location(index), archives)
                for x_min, y_min, x_max, y_max in target.boxes.tolist() if size else []:
                    flaws.usable((x_min, y_min, x_max, y_max), size)
    finally:
        for archive in archives.values():
            archive.close()
    flaws.tell()


def _size(location: ImageLocation, archives: dict[Path, zipfile.ZipFile]) -> tuple[int, int] | None:
    """Width and height as stored, or None for what is no image."""
    try:
        if location.entry is None:
            with Image.open(location.path) as image:
                return image.size
        if location.path not in archives:
            archives[location.path] = zipfile.ZipFile(location.path)
        with Image.open(BytesIO(archives[location.path].read(location.entry))) as image:
            return image.size
    except (OSError, ValueError, SyntaxError, KeyError, zipfile.BadZipFile, Image.DecompressionBombError):
        return None
