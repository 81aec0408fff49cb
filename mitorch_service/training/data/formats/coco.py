"""COCO's JSON: ``images``, ``annotations`` with ``bbox`` [x, y, width, height], ``categories``."""

from __future__ import annotations

import logging
import os
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import NotRequired, TypedDict, cast

from mitorch_service.errors import DataError
from mitorch_service.training.data.boxes.box_flaws import Size
from mitorch_service.training.data.class_names import ClassList
from mitorch_service.training.data.excerpts import excerpt
from mitorch_service.training.data.formats.entries import Entry, collect_boxes
from mitorch_service.training.data.formats.json_stream import JsonError, stream_lists
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.data.regular_files import open_text
from mitorch_service.wording.counted import are, counted

log = logging.getLogger("mitorch")

_LISTS = ("images", "annotations", "categories")
_Id = int | str


class _Image(TypedDict):
    id: _Id
    file_name: str
    width: NotRequired[float | None]
    height: NotRequired[float | None]


class _Annotation(TypedDict):
    id: NotRequired[_Id]
    image_id: _Id
    category_id: _Id
    bbox: list[float]
    iscrowd: NotRequired[int]


class _Category(TypedDict):
    id: _Id
    name: str


def read_coco(path: Path, name: str, classes: ClassList | None) -> ImageList:
    """Reads a detection set, an element of the file at a time: the outlines of regions take most of a large one.

    Without `classes`, they are the categories in the order of their ids. Regions of crowds are left out, which is
    logged. The images are looked for beside the file, in ``images``, and in the folders beside its own. Raises
    DataError for whatever does not fit.
    """
    with _format_errors(name):
        document = _read_document(path, name, _LISTS)
        categories = _class_list(document.categories, name)
        return collect_boxes(document.entries(), name, "annotation", classes or categories, _image_folders(path))


def read_coco_images(path: Path) -> ImageList:
    """Reads the images of a file, which may lack annotations and categories. Raises DataError."""
    name = str(path)
    with _format_errors(name):
        document = _read_document(path, name, _LISTS[:1])
        return collect_boxes(document.images(), name, "image", None, _image_folders(path))


@contextmanager
def _format_errors(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({error.strerror}). Check the path.") from error
    except (JsonError, UnicodeDecodeError) as error:
        raise DataError(f"{name}: is not JSON ({error}).") from error
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError) as error:
        raise DataError(f"{name}: is not COCO's format ({type(error).__name__}: {error}).") from error


def _read_document(path: Path, name: str, needed: Sequence[str]) -> _Document:
    document = _Document(name)
    missing = set(needed)
    with open_text(path) as file:
        for key, elements in stream_lists(file, _LISTS):  # in any order
            missing.discard(key)
            if key == "images":
                document.add_images(cast("Iterable[_Image]", elements))
            elif key == "annotations":
                document.add_annotations(cast("Iterable[_Annotation]", elements))
            else:
                document.categories.extend(cast("Iterable[_Category]", elements))
    if missing:
        named = ", ".join(one for one in _LISTS if one in missing)
        raise DataError(f"{name}: is not COCO's format: it has no {named}.")
    return document


class _Document:
    """The file's content in flat arrays, as images and categories may come after the annotations that refer to them."""

    def __init__(self, name: str) -> None:
        self.categories: list[_Category] = []
        self._name = name
        self._images: dict[int, tuple[str, Size | None]] = {}  # by number
        self._image_numbers = _Numbers()
        self._category_numbers = _Numbers()
        self._ids: list[_Id | None] = []  # one per annotation, as the arrays below
        self._owners = array("Q")  # numbers of images
        self._labels = array("Q")  # numbers of categories
        self._boxes = array("d")  # x, y, width and height of each
        self._crowds = 0

    def add_images(self, images: Iterable[_Image]) -> None:
        for image in images:
            number = self._image_numbers[image["id"]]
            if number in self._images:
                raise DataError(f"{self._name}: two images have the id {image['id']}. Give each its own.")
            width, height = float(image.get("width") or 0), float(image.get("height") or 0)
            self._images[number] = image["file_name"], (width, height) if width and height else None

    def add_annotations(self, annotations: Iterable[_Annotation]) -> None:
        for annotation in annotations:
            if annotation.get("iscrowd"):
                self._crowds += 1
                continue
            try:
                x, y, width, height = annotation["bbox"]
                self._boxes.extend((float(x), float(y), float(width), float(height)))
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                where = f"{self._name}: annotation {annotation.get('id')}"
                raise DataError(
                    f"{where} has no bbox [x, y, width, height]. Add it, or remove the annotation."
                ) from error
            self._owners.append(self._image_numbers[annotation["image_id"]])
            self._labels.append(self._category_numbers[annotation["category_id"]])
            self._ids.append(annotation.get("id"))

    def entries(self) -> Iterator[Entry]:
        """An entry for each image, then one for each annotation. Raises DataError for an annotation of an unknown image
        or category."""
        yield from self.images()
        names = {self._category_numbers[one["id"]]: str(one["name"]) for one in self.categories}
        sides = iter(self._boxes)
        boxes = zip(sides, sides, sides, sides, strict=True)
        for id_, owner, category, box in zip(self._ids, self._owners, self._labels, boxes, strict=True):
            if owner not in self._images or category not in names:
                raise DataError(f"{self._name}: annotation {id_} names an image or category that is not there.")
            x, y, width, height = box
            yield Entry(id_, self._images[owner][0], names[category], (x, y, x + width, y + height))
        if self._crowds:
            regions = counted(self._crowds, "region")
            log.warning("%s: %s of crowds %s left out", self._name, regions, are(self._crowds))

    def images(self) -> Iterator[Entry]:
        """An entry for each image. Raises DataError for two of one name."""
        seen: set[str] = set()
        for number, (image, size) in self._images.items():
            file = os.path.normpath(image) if "./" in image or "//" in image else image
            if file in seen:
                raise DataError(
                    f"{self._name}: two images have the file name {excerpt(image)}. Give each its own, with its "
                    "folder, or make them one image with the annotations of both."
                )
            seen.add(file)
            yield Entry(number, image, size=size)


class _Numbers(dict[_Id, int]):
    """Numbers ids in order of appearance."""

    def __missing__(self, key: _Id) -> int:
        self[key] = number = len(self)
        return number


def _class_list(categories: list[_Category], name: str) -> ClassList:
    ordered = sorted(categories, key=lambda category: category["id"])
    names = tuple(str(category["name"]) for category in ordered)
    for one, other in pairwise(ordered):
        if one["id"] == other["id"]:
            raise DataError(f"{name}: two categories have the id {one['id']}. Give each its own.")
    if len(set(names)) < len(names):
        raise DataError(f"{name}: two categories have the same name. Rename one.")
    return ClassList(names, "the categories")


def _image_folders(path: Path) -> list[Path]:
    folder = path.parent
    split = path.stem.rpartition("_")[2]  # instances_train2017.json belongs to train2017/
    near = [folder, folder / "images", folder.parent, folder.parent / "images"]
    return [*near, folder.parent / split, folder / split, folder.parent / "images" / split]  # the last is CVAT's
