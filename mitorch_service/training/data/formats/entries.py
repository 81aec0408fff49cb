"""The record that every format is parsed into, and the list of boxes made from such records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from mitorch_service.training.data.boxes.box_collector import BoxCollector
from mitorch_service.training.data.boxes.box_flaws import Corners, Size
from mitorch_service.training.data.class_names import ClassIds, ClassList
from mitorch_service.training.data.formats.image_folders import first_folder_with
from mitorch_service.training.data.image_list import ImageList


class Entry(NamedTuple):
    """One row, annotation or object of a data file: an image and at most one thing that it shows."""

    place: int | str | None  # for messages: the line, the annotation's id, or the file
    image: str  # as written: a path, or archive.zip@entry
    label: str = ""  # as written
    corners: Corners | None = None  # of the box with this label; None: the entry has none
    size: Size | None = None  # of the image, if stated


def collect_boxes(
    entries: Iterable[Entry], name: str, unit: str, classes: ClassList | None, folders: Sequence[Path]
) -> ImageList:
    """Numbers images and classes, checks the boxes, and packs everything into one list, images in order of appearance.

    `unit` says what `Entry.place` is ("line"). Without `classes`, they are the labels, sorted. The folder of the images
    is the first of `folders` that has the first image. Raises DataError for a label that is not in `classes`, for boxes
    that are not in pixels, and for a file without images.
    """
    ids = ClassIds(classes)
    boxes = BoxCollector(name)
    previous = None
    for place, image, label, corners, size in entries:
        if image != previous or size is not None:  # boxes of one image are mostly together
            number = boxes.image(image, size)
            previous = image
        if corners is not None:
            class_id = ids.known.get(label)
            if class_id is None:
                class_id = ids.id(label, f"{name}, {unit} {place}")
            boxes.add(number, class_id, corners)
    names = ids.finish(boxes.labels)
    return boxes.finish(first_folder_with(boxes.first_image, folders), names)
