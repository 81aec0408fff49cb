"""COCO's JSON: ``images``, ``annotations`` with ``bbox`` [x, y, width, height], ``categories``."""

from __future__ import annotations

import logging
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mitorch_service.errors import DataError
from mitorch_service.training.data.box_list import BoxList
from mitorch_service.training.data.class_names import ClassIds, ClassList
from mitorch_service.training.data.formats.image_folders import folder_of
from mitorch_service.training.data.formats.json_stream import JsonError, stream_lists
from mitorch_service.training.data.image_list import ImageList

log = logging.getLogger("mitorch")

_LISTS = ("images", "annotations", "categories")


def read_coco(path: Path, name: str, classes: ClassList | None) -> ImageList:
    """The classes are the categories in the order of their ids, unless a list is given. Regions of crowds are left out,
    which is told. The images are looked for beside the file, in ``images``, and in the folders beside its own.

    Reads the file an entry at a time: of a large one, the outlines of regions take most. Raises DataError for anything
    that does not fit.
    """
    try:
        return _Coco(path, name).read(classes)
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({error.strerror}). Check the path.") from error
    except (JsonError, UnicodeDecodeError) as error:
        raise DataError(f"{name}: is not JSON ({error}).") from error
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError) as error:
        raise DataError(f"{name}: is not COCO's format ({type(error).__name__}: {error}).") from error


class _Coco:
    def __init__(self, path: Path, name: str) -> None:
        self._path, self._name = path, name
        self._boxes = BoxList(name)
        self._images: dict[int, int] = {}  # as the boxes number them
        self._categories: list[dict[str, Any]] = []
        self._annotations = _Annotations(name)

    def read(self, given: ClassList | None) -> ImageList:
        self._read_lists()
        classes = given or _class_list(self._categories, self._name)
        self._add_boxes(ClassIds(classes))
        return self._boxes.finish(folder_of(self._boxes.first_image, _folders(self._path)), classes.names)

    def _read_lists(self) -> None:
        missing = set(_LISTS)
        with self._path.open(encoding="utf-8-sig") as file:
            for key, elements in stream_lists(file, _LISTS):
                missing.discard(key)
                if key == "categories":
                    self._categories += elements
                elif key == "images":
                    self._read_images(elements)
                else:
                    self._annotations.read(elements)
        if missing:
            named = ", ".join(one for one in _LISTS if one in missing)
            raise DataError(f"{self._name}: is not COCO's format: it has no {named}.")

    def _read_images(self, images: Iterable[Any]) -> None:
        for image in images:
            number = self._annotations.images[image["id"]]
            if number in self._images:
                raise DataError(f"{self._name}: two images have the id {image['id']}. Give each its own.")
            width, height = float(image.get("width") or 0), float(image.get("height") or 0)
            size = (width, height) if width and height else None
            self._images[number] = self._boxes.image(image["file_name"], size)

    def _add_boxes(self, ids: ClassIds) -> None:
        names = {self._annotations.categories[one["id"]]: str(one["name"]) for one in self._categories}
        labels: dict[int, int] = {}  # of the categories that have boxes
        for annotation, (image, category, box) in enumerate(self._annotations.boxes()):
            if image not in self._images or category not in names:
                where = f"annotation {self._annotations.ids[annotation]}"
                raise DataError(f"{self._name}: {where} names an image or category that is not there.")
            if category not in labels:
                where = f"{self._name}, annotation {self._annotations.ids[annotation]}"
                labels[category] = ids.id(names[category], where)
            x, y, width, height = box
            self._boxes.add(self._images[image], labels[category], (x, y, x + width, y + height))
        if self._annotations.crowds:
            log.warning("%s: %d regions of crowds are left out", self._name, self._annotations.crowds)


class _Numbers(dict[Any, int]):
    """Ids of any type, numbered as they come."""

    def __missing__(self, key: Any) -> int:
        self[key] = number = len(self)
        return number


class _Annotations:
    """The boxes as they are in the file, whose images and categories may come after them."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.images, self.categories = _Numbers(), _Numbers()  # by their ids in the file
        self.ids: list[Any] = []
        self.crowds = 0
        self._images, self._categories, self._boxes = array("Q"), array("Q"), array("d")

    def read(self, annotations: Iterable[Any]) -> None:
        for annotation in annotations:
            if annotation.get("iscrowd"):
                self.crowds += 1
                continue
            try:
                x, y, width, height = annotation["bbox"]
                self._boxes.extend((float(x), float(y), float(width), float(height)))
            except (KeyError, TypeError, ValueError) as error:
                where = f"{self._name}: annotation {annotation.get('id')}"
                raise DataError(
                    f"{where} has no bbox [x, y, width, height]. Add it, or remove the annotation."
                ) from error
            self._images.append(self.images[annotation["image_id"]])
            self._categories.append(self.categories[annotation["category_id"]])
            self.ids.append(annotation.get("id"))

    def boxes(self) -> Iterator[tuple[int, int, tuple[float, float, float, float]]]:
        """Of each annotation: the numbers of its image and category; x, y, width and height."""
        corners = iter(self._boxes)
        return zip(self._images, self._categories, zip(corners, corners, corners, corners, strict=True), strict=True)


def _class_list(categories: list[dict[str, Any]], name: str) -> ClassList:
    ordered = sorted(categories, key=lambda category: category["id"])
    names = tuple(str(category["name"]) for category in ordered)
    if len(set(names)) < len(names):
        raise DataError(f"{name}: two categories have the same name. Rename one.")
    return ClassList(names, "the categories")


def _folders(path: Path) -> list[Path]:
    folder = path.parent
    split = path.stem.rpartition("_")[2]  # instances_train2017.json belongs to train2017/
    return [folder, folder / "images", folder.parent, folder.parent / "images", folder.parent / split, folder / split]
