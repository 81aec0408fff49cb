"""Joins several image lists of one kind into one."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path

from mitorch_service.errors import DataError
from mitorch_service.training.data.image_list import ImageList, PackedStrings
from mitorch_service.training.data.targets import BoxTargets, ClassSetTargets, ClassTargets, Targets
from mitorch_service.wording.counted import counted


def join(lists: Sequence[ImageList], name: str) -> tuple[ImageList, str]:
    """Returns one list of all images, each once, and a remark about those that were there twice, empty if none were.

    All have the same kind and classes. Raises DataError for an image that two lists label otherwise.
    """
    folder = Path(os.path.commonpath([one.folder.absolute() for one in lists]))
    images = PackedStrings()
    places: dict[str, tuple[int, int]] = {}
    chosen: list[list[int]] = [[] for _ in lists]
    twice = 0
    for number, one in enumerate(lists):
        for index, path in enumerate(_relative(one, folder)):
            if path in places:
                _check_same(lists, places[path], (number, index), path)
                twice += 1
                continue
            places[path] = number, index
            images.append(path)
            chosen[number].append(index)
    targets = _concatenated([one.targets.selected(indices) for one, indices in zip(lists, chosen, strict=True)])
    remark = f"{counted(twice, 'image')} named more than once: each counts once" if twice else ""
    return ImageList(name, folder, images, targets, lists[0].classes, lists[0].classes_named), remark


def concatenate(lists: Sequence[ImageList], name: str) -> ImageList:
    """Returns one list of all images in their order, those that are there twice as well, with paths relative to the
    folder that all share."""
    folder = Path(os.path.commonpath([one.folder.absolute() for one in lists]))
    images = PackedStrings(path for one in lists for path in _relative(one, folder))
    targets = _concatenated([one.targets for one in lists])
    return ImageList(name, folder, images, targets, lists[0].classes, lists[0].classes_named)


def _relative(images: ImageList, folder: Path) -> Iterator[str]:
    base = os.path.relpath(images.folder.absolute(), folder)
    for written in images.images:
        yield os.path.normpath(os.path.join(base, written))  # noqa: PTH118 - a Path for each of a million is slow


def _check_same(lists: Sequence[ImageList], one: tuple[int, int], other: tuple[int, int], path: str) -> None:
    (first, second) = (lists[number].targets for number, _ in (one, other))
    same = list(first.labels_of(one[1])) == list(second.labels_of(other[1]))
    if not same or list(first.corners_of(one[1])) != list(second.corners_of(other[1])):
        names = f"{lists[one[0]].name} and {lists[other[0]].name}" if one[0] != other[0] else lists[one[0]].name
        raise DataError(f"{names}: the image {path} is there twice, with other labels. Remove one of them.")


def _concatenated(targets: Sequence[Targets]) -> Targets:
    if isinstance(targets[0], ClassTargets):
        return ClassTargets(label for one in targets for index in range(len(one)) for label in one.labels_of(index))
    if isinstance(targets[0], ClassSetTargets):
        return ClassSetTargets(one.labels_of(index) for one in targets for index in range(len(one)))
    ends, labels, corners = array("Q", [0]), array("q"), array("f")
    for one in targets:
        for index in range(len(one)):
            labels.extend(one.labels_of(index))
            corners.extend(one.corners_of(index))
            ends.append(len(labels))
    return BoxTargets(ends, labels, corners)
