"""Reads the splits of a data set and checks them, phase by phase."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from mitorch_service.errors import DataError
from mitorch_service.training.data.boxes.box_checks import log_boxes_outside_images
from mitorch_service.training.data.class_names import ClassList
from mitorch_service.training.data.class_order import in_class_order
from mitorch_service.training.data.duplicates import find_duplicates
from mitorch_service.training.data.file_checks import check_files
from mitorch_service.training.data.formats.registry import read_image_list
from mitorch_service.training.data.holdout import hold_out
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.wording.counted import are, counted

log = logging.getLogger("mitorch")

_UNSEEN_SHOWN = 5  # classes that a message names


def read_splits(paths: Mapping[str, Path], name: str | None = None) -> dict[str, ImageList]:
    """Reads ``train``, then the other splits with its classes.

    `name` is the data set's in messages; without it, they give the paths. Raises DataError (`read_split`).
    """
    lists: dict[str, ImageList] = {}
    for split, path in sorted(paths.items(), key=lambda item: item[0] != "train"):
        lists[split] = read_split(path, f"{name} {split}" if name else None, lists.get("train"), split)
    return lists


def read_split(
    path: Path,
    name: str | None = None,
    train: ImageList | None = None,
    split: str = "train",
    *,
    by_name: bool = False,
) -> ImageList:
    """Reads one split of any format and checks its files; with `train`, also that the two belong together. `split`: of
    a file that describes several. `by_name` lets it number the same classes otherwise than `train`, as whose they are
    then numbered.

    Boxes outside their images and images shared with `train` are logged. Raises DataError for a file that does not fit
    its format, missing images, and classes that `train` does not have.
    """
    classes = ClassList(train.classes, f"the classes of {train.name}") if train and train.classes_named else None
    images = read_image_list(path, name, classes, split)
    check_files(images)
    log_boxes_outside_images(images)
    if train is not None:
        images = images.as_kind(train.kind)
        if by_name and train.classes_named and images.classes_named:
            images = in_class_order(images, train.classes, named=True, source=train.name)[0]
        check_same_classes(train, images)
        _log_duplicates(train, images)
    return images


def read_held_out(path: Path, fraction: float, seed: int) -> dict[str, ImageList]:
    """Reads a multiclass set of any format; returns a part of each class as ``val``, the rest as ``train``
    (`hold_out`). Raises DataError as `read_split` does."""
    train, val = hold_out(read_split(path), fraction, seed)
    check_same_classes(train, val)
    return {"train": train, "val": val}


def check_same_classes(train: ImageList, val: ImageList) -> None:
    """Raises DataError unless both splits have the same kind and classes (multiclass: at least two), and each class
    that `val` shows is in `train`."""
    if train.kind != val.kind:
        raise DataError(
            f"{train.name} is a {train.kind} set and {val.name} a {val.kind} one. Give both the same kind of labels."
        )
    if len(train.classes) < 2 and train.kind == "multiclass":
        raise DataError(f"{train.name} has only one class: there is nothing to tell apart. Add images of another.")
    if train.classes_named and val.classes_named and train.classes != val.classes:
        difference = _first_difference(train.classes, val.classes)
        where = f"{train.name} and {val.name} have different classes"
        raise DataError(f"{where}: {difference}. Give both the same labels.txt.")
    trained = train.targets.images_per_class()
    counts = sorted(val.targets.images_per_class().items())
    unseen = [(label, count) for label, count in counts if label not in trained]
    if unseen:
        shown = ", ".join(
            f"{val.classes[label]} (label {label}, {counted(n, 'image')})" for label, n in unseen[:_UNSEEN_SHOWN]
        )
        more = f" and {len(unseen) - _UNSEEN_SHOWN} more" if len(unseen) > _UNSEEN_SHOWN else ""
        raise DataError(
            f"{val.name} has images of classes that {train.name} has none of: {shown}{more}. "
            "Add training images of them, or remove these."
        )


def _first_difference(train: tuple[str, ...], val: tuple[str, ...]) -> str:
    for index, (one, other) in enumerate(zip(train, val, strict=False)):
        if one != other:
            return f"class {index} is {one!r} in one and {other!r} in the other"
    return f"{len(train)} in one and {len(val)} in the other"


def _log_duplicates(train: ImageList, other: ImageList) -> None:
    found = find_duplicates(train, other)
    by_path, by_content = len(found.by_path), len(found.by_content)
    if by_path or by_content:
        shared = f"{by_path} of {counted(len(other), 'image')} {are(by_path)} also in {train.name}"
        copies = f", and {by_content} more of the same content" if by_content else ""
        log.warning("%s: %s%s. Metrics measured on them say little: remove them.", other.name, shared, copies)
