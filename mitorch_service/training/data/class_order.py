"""Renumbers the classes of a data set as weights number them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mitorch_service.errors import DataError
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.wording.counted import counted

_SHOWN = 5  # classes that a message names


def in_class_order(data: ImageList, classes: tuple[str, ...], *, named: bool, source: str) -> tuple[ImageList, str]:
    """Returns the data set with the classes that the weights from `source` know, in their order, and a sentence about
    what has changed, empty if nothing has.

    Classes are found by name. Where the data set or the weights have numbers only (`named`), numbers are compared, and
    the sentence says so if the other one has names.
    Raises DataError for images of a class that the weights do not know.
    """
    if data.classes == classes:
        return data, ""
    if not (named and data.classes_named):
        _check_numbers(data, len(classes), source)
        return replace(data, classes=classes, classes_named=named), _unnamed(data, classes, named=named, source=source)
    if len(set(classes)) < len(classes) or len(set(data.classes)) < len(data.classes):
        raise DataError(
            f"{data.name} and {source} differ in their classes, of which two have the same name. Rename one."
        )
    places = {name: place for place, name in enumerate(classes)}
    _check_names(data, places, source)
    numbers = [places.get(name, 0) for name in data.classes]  # 0: shown by no image
    note = f"{data.name} numbers the classes in another order than {source}, or has others: they are matched by name."
    return replace(data, classes=classes, targets=data.targets.renumbered(numbers)), note


def listed(classes: Sequence[str]) -> str:
    """The first classes with their numbers, for a sentence: 0 is cat, 1 is dog, …"""
    first = [f"{number} is {name}" for number, name in enumerate(classes[:_SHOWN])]
    return ", ".join(first) + ", …" * (len(classes) > _SHOWN)


def _unnamed(data: ImageList, classes: tuple[str, ...], *, named: bool, source: str) -> str:
    if named:
        return f"{data.name} numbers its classes without naming them; they are taken as in {source}: {listed(classes)}."
    if data.classes_named:
        return f"{source} has no names of classes; they are taken as {data.name} numbers them: {listed(data.classes)}."
    return ""


def _check_numbers(data: ImageList, known: int, source: str) -> None:
    unknown = sorted(label for label in data.targets.images_per_class() if label >= known)
    if unknown:
        raise DataError(
            f"{data.name} has images of class {unknown[0]}, but {source} knows only {known} (0 to {known - 1}). "
            "Test on data of these classes, or use other weights."
        )


def _check_names(data: ImageList, places: dict[str, int], source: str) -> None:
    counts = sorted(data.targets.images_per_class().items())
    unknown = [
        f"{data.classes[label]} ({counted(count, 'image')})"
        for label, count in counts
        if data.classes[label] not in places
    ]
    if not unknown:
        return
    more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
    known = ", ".join(list(places)[:_SHOWN]) + ", …" * (len(places) > _SHOWN)
    raise DataError(
        f"{data.name} has images of classes that {source} does not know: {', '.join(unknown[:_SHOWN])}{more}. "
        f"It knows {known}. Remove these images, or use weights that were trained with these classes."
    )
