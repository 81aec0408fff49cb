"""An image folder: one folder for each class, with its images in it or deeper. Hidden files are left alone."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator
from pathlib import Path

from mitorch_service.errors import DataError
from mitorch_service.training.data.class_names import ClassIds, ClassList
from mitorch_service.training.data.formats.image_folders import SUFFIXES
from mitorch_service.training.data.image_list import ImageList, PackedStrings
from mitorch_service.training.data.targets import ClassTargets


def has_class_folders(path: Path) -> bool:
    """Whether a folder in it has an image at any depth."""
    return any(next(_images(folder), None) is not None for folder in _folders(path))


def read_class_folders(path: Path, name: str, classes: ClassList | None) -> ImageList:
    """The classes are the folders' names, sorted, unless a list is given."""
    ids, labels = ClassIds(classes), array("i")
    images = PackedStrings(_labelled(path, name, ids, labels))
    if not labels:
        raise DataError(f"{name}: names no image.")
    return ImageList(name, path, images, ClassTargets(labels), ids.finish(labels))


def _labelled(path: Path, name: str, ids: ClassIds, labels: array[int]) -> Iterator[str]:
    for folder in _folders(path):
        for image in _images(folder):
            labels.append(ids.id(folder.name, name))
            yield os.path.relpath(image, path)


def _folders(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _images(folder: Path) -> Iterator[str]:
    """The paths of the images in it, in an order that is always the same."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        for file in sorted(files):
            if not file.startswith(".") and Path(file).suffix.lower() in SUFFIXES:
                yield os.path.join(parent, file)  # noqa: PTH118 - a Path for each of a million costs seconds
