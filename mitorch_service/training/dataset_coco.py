"""COCO's JSON: ``images``, ``annotations`` with ``bbox`` [x, y, width, height], ``categories``."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mitorch_service.errors import DataError
from mitorch_service.training.box_list import BoxList
from mitorch_service.training.class_names import ClassIds, ClassList
from mitorch_service.training.image_folders import folder_of
from mitorch_service.training.image_list import ImageList
from mitorch_service.training.json_stream import JsonError, stream_lists

log = logging.getLogger("mitorch")

_LISTS = ("images", "annotations", "categories")


def read_coco(path: Path, name: str, classes: ClassList | None) -> ImageList:
    """The classes are the categories in the order of their ids, unless a list is given. Regions of crowds are left out,
    which is told. The images are looked for beside the file, in ``images``, and in the folders beside its own.

    Reads the file twice, an entry at a time: its lists come in any order. Raises DataError for anything that does not
    fit.
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
        self._images: dict[Any, tuple[int, tuple[float, float] | None]] = {}  # by id: number and size
        self._categories: list[dict[str, Any]] = []

    def read(self, given: ClassList | None) -> ImageList:
        self._read_images_and_categories()
        classes = given or _class_list(self._categories, self._name)
        self._read_boxes(ClassIds(classes))
        return self._boxes.finish(folder_of(self._boxes.first_image, _folders(self._path)), classes.names)

    def _read_images_and_categories(self) -> None:
        missing = set(_LISTS)
        for key, elements in self._lists():
            missing.discard(key)
            if key == "categories":
                self._categories += elements
            elif key == "images":
                for image in elements:
                    size = (image["width"], image["height"]) if "width" in image and "height" in image else None
                    self._images[image["id"]] = self._boxes.image(image["file_name"]), size
        if missing:
            named = ", ".join(one for one in _LISTS if one in missing)
            raise DataError(f"{self._name}: is not COCO's format: it has no {named}.")

    def _read_boxes(self, ids: ClassIds) -> None:
        names = {category["id"]: str(category["name"]) for category in self._categories}
        crowds = 0
        for annotation in (one for key, elements in self._lists() if key == "annotations" for one in elements):
            if annotation.get("iscrowd"):
                crowds += 1
                continue
            where = f"annotation {annotation.get('id')}"
            if annotation["image_id"] not in self._images or annotation["category_id"] not in names:
                raise DataError(f"{self._name}: {where} names an image or category that is not there.")
            x, y, width, height = map(float, annotation["bbox"])
            number, size = self._images[annotation["image_id"]]
            label = ids.id(names[annotation["category_id"]], f"{self._name}, {where}")
            self._boxes.add(number, label, (x, y, x + width, y + height), size)
        if crowds:
            log.warning("%s: %d regions of crowds are left out", self._name, crowds)

    def _lists(self) -> Iterator[tuple[str, Iterator[Any]]]:
        with self._path.open(encoding="utf-8-sig") as file:
            yield from stream_lists(file, _LISTS)


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
