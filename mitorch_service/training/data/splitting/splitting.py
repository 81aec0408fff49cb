"""Splits a data set into train, val and test."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mitorch_service.errors import DataError
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.data.splitting.split_request import SplitRequest
from mitorch_service.training.data.splitting.stratification import Division, Label, Unit, divide
from mitorch_service.wording.counted import counted

_NOTHING = ("class", -1)  # the label of an image that shows nothing
_SHOWN = 5
_TOLERATED = 0.5  # of a part's fraction, by which groups may miss it


@dataclass(frozen=True)
class Split:
    """The images of each part, and what they show."""

    parts: dict[str, ImageList]  # train first
    of_image: list[str]  # the part of each image
    counts: dict[str, Counter[str]]  # of each part: images (detection: boxes) of each class
    units: int  # groups, or images


def split_images(
    images: ImageList,
    request: SplitRequest,
    groups: Sequence[str] | None = None,
    clusters: Sequence[int] | None = None,
) -> Split:
    """Divides the images (`divide`): by their classes (detection: the boxes of each), and by their clusters, if they
    are given; images of one group stay together.

    Depends on the images' names, targets and groups and on the seed, not on their order. Raises InvalidInput for
    fractions that leave nothing, DataError for classes with too few images, and for groups that cannot be divided so.
    """
    fractions = request.fractions()
    units, members = _units(images, groups, clusters)
    names = list(fractions)
    of_class = _units_of_class(units)
    rare = {label: found for label, found in of_class.items() if len(found) < len(names)}
    if rare and not request.rare_to_train:
        raise DataError(_too_few(images, {label: len(found) for label, found in rare.items()}, names, groups))
    fixed = {number: 0 for found in rare.values() for number in found}
    required = frozenset(of_class.keys() - rare.keys())
    division = divide(units, list(fractions.values()), request.seed, required=required, fixed=fixed)
    _check(images, division, fractions, units, groups)
    of_image = [""] * len(images)
    for unit, part in zip(members, division.parts, strict=True):
        for index in unit:
            of_image[index] = names[part]
    parts = {name: _part(images, of_image, name) for name in names}
    counts = {name: _counts(part) for name, part in parts.items()}
    return Split(parts, of_image, counts, len(units))


def digest(images: ImageList) -> str:
    """The SHA-256 of the images' names and targets, whatever their order."""
    lines = sorted(f"{name}\t{_written(images, index)}" for index, name in enumerate(images.images))
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def _written(images: ImageList, index: int) -> str:
    labels = [images.classes[label] for label in images.targets.labels_of(index)]
    corners = images.targets.corners_of(index)
    return f"{labels} {list(corners)}" if corners else str(labels)


def _units(
    images: ImageList, groups: Sequence[str] | None, clusters: Sequence[int] | None
) -> tuple[list[Unit], list[list[int]]]:
    """The units, and the images of each."""
    names = list(images.images)
    members: defaultdict[str, list[int]] = defaultdict(list)
    for index, key in enumerate(groups if groups is not None else names):
        members[key].append(index)
    return [Unit(key, len(found), _labels(images, found, clusters)) for key, found in members.items()], [
        *members.values()
    ]


def _labels(images: ImageList, found: Sequence[int], clusters: Sequence[int] | None) -> Mapping[Label, int]:
    labels: Counter[Label] = Counter()
    for index in found:
        shown = images.targets.labels_of(index)
        labels.update(("class", label) for label in shown)
        if not shown:
            labels[_NOTHING] += 1
        if clusters is not None:
            labels["cluster", clusters[index]] += 1
    return labels


def _units_of_class(units: Sequence[Unit]) -> dict[Label, list[int]]:
    found: defaultdict[Label, list[int]] = defaultdict(list)
    for number, unit in enumerate(units):
        for label in unit.labels:
            if isinstance(label, tuple) and label[0] == "class" and label != _NOTHING:
                found[label].append(number)
    return dict(found)


def _too_few(images: ImageList, rare: Mapping[Label, int], names: Sequence[str], groups: Sequence[str] | None) -> str:
    what = "image" if groups is None else "group"
    shown = ", ".join(f"{_name(images, label)} ({counted(count, what)})" for label, count in [*rare.items()][:_SHOWN])
    more = f" and {len(rare) - _SHOWN} more" if len(rare) > _SHOWN else ""
    classes = counted(len(rare), "class", "classes")
    return (
        f"{images.name}: {classes} cannot be in each of {', '.join(names)}: {shown}{more}. "
        f"Add {what}s of them, make fewer parts, or put them into train alone with --rare-to-train."
    )


def _name(images: ImageList, label: Label) -> str:
    assert isinstance(label, tuple)
    return images.classes[label[1]]


def _check(
    images: ImageList,
    division: Division,
    fractions: Mapping[str, float],
    units: Sequence[Unit],
    groups: Sequence[str] | None,
) -> None:
    """Raises DataError for a division that is not what was asked for."""
    names = list(fractions)
    off = [
        f"{name} would get {share:.0%} of the images, not {asked:.0%}"
        for (name, asked), share in zip(fractions.items(), division.shares, strict=True)
        if name != "train" and abs(share - asked) > _TOLERATED * asked
    ]
    missing = [f"{_name(images, label)} in {names[part]}" for label, part in division.missing[:_SHOWN]]
    if groups is not None and (off or missing):
        problem = off[0] if off else f"there would be no {', '.join(missing)}"
        largest = max(units, key=lambda unit: unit.images)
        raise DataError(
            f"{images.name}: the groups cannot be divided so: {problem}. There are {counted(len(units), 'group')}; the "
            f"largest, {largest.key}, has {largest.images} of {len(images)} images. Take a --group that makes smaller "
            "ones, or other fractions."
        )
    if missing:
        raise DataError(
            f"{images.name}: no division was found that shows each class in each part; there would be no "
            f"{', '.join(missing)}. Take larger parts, or another --seed."
        )
    if 0 in division.shares:
        empty = names[division.shares.index(0)]
        raise DataError(f"{images.name}: {counted(len(images), 'image')} are too few: {empty} would have none.")


def _part(images: ImageList, of_image: Sequence[str], name: str) -> ImageList:
    """The images of a part, in the order of their names."""
    names = list(images.images)
    chosen = sorted((index for index, part in enumerate(of_image) if part == name), key=names.__getitem__)
    return images.select(chosen, f"{images.name} ({name})")


def _counts(part: ImageList) -> Counter[str]:
    return Counter({part.classes[label]: count for label, count in part.targets.images_per_class().items()})
