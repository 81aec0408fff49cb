"""Writes the parts of a data set as files that a training reads, with a record of how they were made."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mitorch_service.annotations.text_lines import check_listed, class_list_text
from mitorch_service.errors import DataError
from mitorch_service.training.data.image_list import ImageList, ImageLocation

RECORD = "split.json"
_OURS = ("train.txt", "val.txt", "test.txt", "train.json", "val.json", "test.json", "labels.txt", RECORD)


def write_parts(folder: Path, parts: Mapping[str, ImageList], record: Mapping[str, Any]) -> dict[str, Path]:
    """Writes a file for each part, in the text format or (detection) as COCO, images by their full paths; then
    ``labels.txt`` and ``split.json``. Returns the files of the parts.

    Replaces the files of an earlier split. Raises DataError, before anything is changed, for names that these files
    cannot hold and for a folder with other files in it; and if something cannot be written.
    """
    labels = class_list_text(next(iter(parts.values())).classes)
    for images in parts.values():
        _check(images)
    try:
        _prepare(folder)
        files = {name: _write(folder, name, images) for name, images in parts.items()}
        (folder / "labels.txt").write_text(labels, "utf-8")
        text = json.dumps({**record, "files": {name: path.name for name, path in files.items()}}, indent=2)
        (folder / RECORD).write_text(f"{text}\n", "utf-8")
    except (OSError, UnicodeEncodeError) as error:
        raise DataError(f"{folder}: cannot be written ({error}). Choose another folder with -o.") from error
    return files


def _check(images: ImageList) -> None:
    """Raises DataError for an image that the text format cannot hold; COCO holds all."""
    if images.kind != "detection":
        check_listed(str(images.folder))
        for index, name in enumerate(images.images):
            check_listed(name)
            _ids(images, index)


def _prepare(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / RECORD).exists() and any(folder.iterdir()):
        raise DataError(f"{folder}: has other files in it. Choose a new folder with -o.")
    for name in _OURS:
        (folder / name).unlink(missing_ok=True)


def _write(folder: Path, name: str, images: ImageList) -> Path:
    if images.kind == "detection":
        path = folder / f"{name}.json"
        with path.open("w", encoding="utf-8", errors="surrogateescape") as file:
            json.dump(_coco(images), file, ensure_ascii=False)
        return path
    path = folder / f"{name}.txt"
    with path.open("w", encoding="utf-8", errors="surrogateescape") as file:
        file.writelines(f"{_full(images, index)} {_ids(images, index)}\n" for index in range(len(images)))
    return path


def _ids(images: ImageList, index: int) -> str:
    """One class of several with a comma, too: else a part with one class in each image would be read as multiclass."""
    labels = images.targets.labels_of(index)
    if not labels:
        raise DataError(f"{images.name}: {images.images[index]} shows no class, which the text format cannot say.")
    return ",".join(map(str, labels)) + "," * (images.kind == "multilabel" and len(labels) == 1)


def _full(images: ImageList, index: int) -> ImageLocation:
    location = images.location(index)
    return ImageLocation(location.path.absolute(), location.entry)


def _coco(images: ImageList) -> dict[str, list[dict[str, Any]]]:
    return {
        "images": [_image(images, index) for index in range(len(images))],
        "annotations": list(_annotations(images)),
        "categories": [{"id": number, "name": name} for number, name in enumerate(images.classes, 1)],
    }


def _image(images: ImageList, index: int) -> dict[str, Any]:
    size = images.stated_size(index)
    stated = {} if size is None else {"width": int(size[0]), "height": int(size[1])}
    return {"id": index + 1, "file_name": str(_full(images, index)), **stated}


def _annotations(images: ImageList) -> Iterator[dict[str, Any]]:
    number = 0
    for index in range(len(images)):
        corners = iter(images.targets.corners_of(index))
        for label, box in zip(images.targets.labels_of(index), zip(*[corners] * 4, strict=True), strict=True):
            number += 1
            left, top, right, bottom = box
            sides = [left, top, right - left, bottom - top]
            area = sides[2] * sides[3]
            yield {
                "id": number,
                "image_id": index + 1,
                "category_id": label + 1,
                "bbox": sides,
                "area": area,
                "iscrowd": 0,
            }
