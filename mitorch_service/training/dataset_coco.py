"""COCO's JSON: ``images``, ``annotations`` with ``bbox`` [x, y, width, height], ``categories``."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from mitorch_service.errors import DataError
from mitorch_service.training.box_list import BoxList
from mitorch_service.training.class_names import ClassIds, ClassList
from mitorch_service.training.image_folders import folder_of
from mitorch_service.training.image_list import ImageList

log = logging.getLogger("mitorch")


def read_coco(path: Path, name: str, classes: ClassList | None) -> ImageList:
    """The classes are the categories in the order of their ids, unless a list is given. Regions of crowds are left out,
    which is told. The images are looked for beside the file, in ``images``, and in the folders beside its own.

    Raises DataError for anything that does not fit.
    """
    document = _document(path, name)
    try:
        return _images(document, path, name, classes or _categories(document, name))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise DataError(f"{name}: is not COCO's format ({type(error).__name__}: {error}).") from error


def _images(document: dict[str, Any], path: Path, name: str, classes: ClassList) -> ImageList:
    ids, boxes = ClassIds(classes), BoxList(name)
    names = {category["id"]: str(category["name"]) for category in document["categories"]}
    known, first = {}, ""
    for image in document["images"]:
        first = first or image["file_name"]
        size = (image["width"], image["height"]) if "width" in image and "height" in image else None
        known[image["id"]] = boxes.image(image["file_name"]), size
    crowds = 0
    for annotation in document["annotations"]:
        if annotation.get("iscrowd"):
            crowds += 1
            continue
        if annotation["image_id"] not in known or annotation["category_id"] not in names:
            raise DataError(f"{name}: annotation {annotation.get('id')} names an image or category that is not there.")
        x, y, width, height = map(float, annotation["bbox"])
        number, size = known[annotation["image_id"]]
        label = ids.id(names[annotation["category_id"]], f"{name}, annotation {annotation.get('id')}")
        boxes.add(number, label, (x, y, x + width, y + height), size)
    if crowds:
        log.warning("%s: %d regions of crowds are left out", name, crowds)
    return boxes.finish(folder_of(first, _folders(path)), classes.names)


def _document(path: Path, name: str) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({error.strerror}). Check the path.") from error
    except ValueError as error:
        raise DataError(f"{name}: is not JSON ({error}).") from error
    missing = [key for key in ("images", "annotations", "categories") if key not in document]
    if not isinstance(document, dict) or missing:
        raise DataError(f"{name}: is not COCO's format: it has no {', '.join(missing)}.")
    return document


def _categories(document: dict[str, Any], name: str) -> ClassList:
    ordered = sorted(document["categories"], key=lambda category: category["id"])
    names = tuple(str(category["name"]) for category in ordered)
    if len(set(names)) < len(names):
        raise DataError(f"{name}: two categories have the same name. Rename one.")
    return ClassList(names, "the categories")


def _folders(path: Path) -> list[Path]:
    folder = path.parent
    split = path.stem.rpartition("_")[2]  # instances_train2017.json belongs to train2017/
    return [folder, folder / "images", folder.parent, folder.parent / "images", folder.parent / split, folder / split]
