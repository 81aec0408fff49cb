"""Image folders: one folder for each class, with its images at any depth."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator
from pathlib import Path

from mitorch_service.errors import DataError
from mitorch_service.training.data.class_names import ClassIds, ClassList
from mitorch_service.training.data.formats.entries import Entry
from mitorch_service.training.data.formats.folder_tree import READ_BEFORE, files_below, identity
from mitorch_service.training.data.formats.image_folders import has_image_suffix
from mitorch_service.training.data.image_list import ImageList, PackedStrings
from mitorch_service.training.data.left_out import HIDDEN, NO_IMAGE, LeftOut
from mitorch_service.training.data.regular_files import is_folder
from mitorch_service.training.data.targets import ClassTargets

_NO_CLASS = "an image beside the folders of the classes"
_NOWHERE = "a link that leads nowhere"
_EMPTY = "a folder without an image"
_SPLITS = {"train", "training", "val", "valid", "validation", "test", "testing"}  # names that no class has


def read_class_folders(path: Path, name: str, classes: ClassList | None) -> ImageList:
    """Reads a multiclass set; without `classes`, they are the folders' names, sorted. Whatever else lies there is
    counted and logged. Raises DataError without any image, and for a class that is not in `classes`."""
    ids = ClassIds(classes)
    images, labels = PackedStrings(), array("i")
    left_out = LeftOut(name)
    for entry in _entries(path, left_out):
        images.append(entry.image)
        labels.append(ids.id(entry.label, name))
    if not labels:
        raise DataError(
            f"{name}: the folder holds no data set. Looked for Annotations/*.xml or *.xml (Pascal VOC), and for "
            "folders with images, one for each class. Give text files, COCO's .json and .csv by the file's own path."
        )
    if classes is None and len(ids.known) > 1 and {found.lower() for found in ids.known} <= _SPLITS:
        where = " and ".join(f"{path / found}" for found in sorted(ids.known))
        raise DataError(f"{name}: its folders are splits, not classes. Give each by its own path: {where}.")
    left_out.log()
    return ImageList(name, path, images, ClassTargets(labels), ids.finish(labels))


def _entries(path: Path, left_out: LeftOut) -> Iterator[Entry]:
    around = {identity(one) for one in (path, *path.absolute().parents)}
    for name in _names(path):
        if name.startswith("."):
            left_out.add(HIDDEN, name)
        elif not is_folder(path / name):
            left_out.add(_why_not(path / name), name)
        elif identity(path / name) in around:
            left_out.add(READ_BEFORE, f"{name}/")
        else:
            yield from _class_entries(path, name, left_out)


def _why_not(file: Path) -> str:
    """The reason why a file beside the folders of the classes is left out."""
    if not file.exists():
        return _NOWHERE
    return _NO_CLASS if has_image_suffix(file.name) else NO_IMAGE


def _names(path: Path) -> list[str]:
    try:
        return sorted(os.listdir(path))  # noqa: PTH208 - the names alone
    except OSError as error:
        raise DataError(f"the folder {path} cannot be read ({error.strerror}).") from error


def _class_entries(path: Path, label: str, left_out: LeftOut) -> Iterator[Entry]:
    found = False
    for file in files_below(path / label, left_out):
        if has_image_suffix(file):
            found = True
            yield Entry(label, f"{label}/{file}", label)
        else:
            left_out.add(NO_IMAGE, f"{label}/{file}")
    if not found:
        left_out.add(_EMPTY, f"{label}/")
