"""Image folders: one folder for each class, with its images at any depth. Hidden files are ignored."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator
from pathlib import Path

from mitorch_service.errors import DataError
from mitorch_service.training.data.class_names import ClassIds, ClassList
from mitorch_service.training.data.formats.entries import Entry
from mitorch_service.training.data.formats.image_folders import SUFFIXES
from mitorch_service.training.data.image_list import ImageList, PackedStrings
from mitorch_service.training.data.targets import ClassTargets


def read_class_folders(path: Path, name: str, classes: ClassList | None) -> ImageList:
    """Reads a multiclass set; without `classes`, they are the folders' names, sorted. Raises DataError for a folder
    without images and for a class that is not in `classes`."""
    ids = ClassIds(classes)
    images, labels = PackedStrings(), array("i")
    for entry in _entries(path):
        images.append(entry.image)
        labels.append(ids.id(entry.label, name))
    if not labels:
        raise DataError(
            f"{name}: the folder holds no data set. Looked for Annotations/*.xml or *.xml (Pascal VOC), and for "
            "folders with images, one for each class. Give text files, COCO's .json and .csv by the file's own path."
        )
    return ImageList(name, path, images, ClassTargets(labels), ids.finish(labels))


def _entries(path: Path) -> Iterator[Entry]:
    for folder in sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")):
        for image in _images(folder):
            yield Entry(folder.name, os.path.relpath(image, path), folder.name)


def _images(folder: Path) -> Iterator[str]:
    """The paths of the images in a folder, always in the same order."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        for file in sorted(files):
            if not file.startswith(".") and Path(file).suffix.lower() in SUFFIXES:
                yield os.path.join(parent, file)  # noqa: PTH118 - a Path for each of a million costs seconds
