"""The splits of a data set together: one list of classes, all files there, and what is amiss told."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from mitorch_service.training.data.box_checks import tell_boxes_beyond
from mitorch_service.training.data.class_names import ClassList
from mitorch_service.training.data.duplicates import count_shared
from mitorch_service.training.data.file_checks import check_files
from mitorch_service.training.data.formats.text import read_image_list
from mitorch_service.training.data.image_list import ImageList, same_classes

log = logging.getLogger("mitorch")


def read_splits(paths: Mapping[str, Path], name: str | None = None) -> dict[str, ImageList]:
    """Reads ``train`` and whatever other splits there are, which get its list of classes.

    Messages call a split `name` and its own, or without `name` by its path. Images that a split shares with the
    training, and boxes that are not in their images, are counted and logged. Raises DataError.
    """
    lists: dict[str, ImageList] = {}
    for split, path in sorted(paths.items(), key=lambda item: item[0] != "train"):
        lists[split] = read_split(path, f"{name} {split}" if name else None, lists.get("train"))
    return lists


def read_split(path: Path, name: str | None = None, train: ImageList | None = None) -> ImageList:
    """Reads one split, and what `read_splits` says of each; `train` is the one whose classes it gets. Raises
    DataError."""
    classes = ClassList(train.classes, f"the classes of {train.name}") if train and train.classes_named else None
    image_list = read_image_list(path, name, classes)
    check_files(image_list)
    tell_boxes_beyond(image_list)
    if train is not None:
        image_list = image_list.as_kind(train.kind)
        same_classes(train, image_list)
        _tell_shared(train, image_list)
    return image_list


def _tell_shared(train: ImageList, other: ImageList) -> None:
    by_path, by_content = count_shared(train, other)
    if by_path or by_content:
        what = f"{by_path} of {len(other)} images are in {train.name} as well"
        copies = f", and {by_content} more are copies of images there" if by_content else ""
        log.warning("%s: %s%s. What is measured on them says little: remove them.", other.name, what, copies)
