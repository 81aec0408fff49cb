"""Splits a data set that has no validation images of its own."""

from __future__ import annotations

import random
from collections import defaultdict
from pathlib import Path

from mitorch_service.annotations.text_lines import check_listed, class_list_text
from mitorch_service.errors import DataError
from mitorch_service.training.data.image_list import ImageList, ImageLocation
from mitorch_service.training.data.targets import ClassTargets


def hold_out(images: ImageList, fraction: float, seed: int) -> tuple[ImageList, ImageList]:
    """Returns the images to train on and those to validate on: of each class the same fraction (0 to 1, excluded), but
    at least one for each side. The same images, fraction and seed give the same split.

    A class with a single image is trained on only. Raises DataError for sets that are not multiclass, and if there is
    nothing to validate on.
    """
    if not isinstance(images.targets, ClassTargets):
        hint = "write its validation set to a file of its own, and give that as VAL"
        raise DataError(f"{images.name} is a {images.kind} set, of which no images can be held out: {hint}.")
    of_class: defaultdict[int, list[int]] = defaultdict(list)
    for index, label in enumerate(images.targets.labels):
        of_class[label].append(index)
    chosen: list[int] = []
    for label in sorted(of_class):
        members = of_class[label]
        count = min(max(round(fraction * len(members)), 1), len(members) - 1)
        chosen += random.Random(f"{seed} {label}").sample(members, count)
    if not chosen:
        raise DataError(f"{images.name} has one image of each class: there is none to validate on. Add images.")
    held = set(chosen)
    val = images.select(sorted(held), f"{images.name} (held out)")
    return images.select([index for index in range(len(images)) if index not in held], images.name), val


def write_split(folder: Path, **splits: ImageList) -> None:
    """Writes ``NAME.txt`` for each split and ``labels.txt`` in the text format, images by their full paths. Raises
    DataError for names that the format cannot hold, before anything is written, and if they cannot be written."""
    labels = class_list_text(next(iter(splits.values())).classes)
    for images in splits.values():
        for name in (str(images.folder), *images.images):
            check_listed(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, images in splits.items():
            with (folder / f"{name}.txt").open("w", encoding="utf-8", errors="surrogateescape") as file:
                file.writelines(f"{_full(images, index)} {images.target(index)}\n" for index in range(len(images)))
        (folder / "labels.txt").write_text(labels, "utf-8")
    except OSError as error:
        raise DataError(f"{folder}: cannot be written ({error.strerror}). Choose another path with -o.") from error


def _full(images: ImageList, index: int) -> ImageLocation:
    location = images.location(index)
    return ImageLocation(location.path.absolute(), location.entry)
