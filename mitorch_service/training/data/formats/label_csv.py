"""Classification sets in CSV files: one image and its class per row."""

from __future__ import annotations

from array import array
from pathlib import Path

from mitorch_service.errors import DataError
from mitorch_service.training.data.class_names import ClassIds, ClassList
from mitorch_service.training.data.excerpts import excerpt
from mitorch_service.training.data.formats.csv import CORNERS, IMAGE, LABEL, header_of, rows, tell_unread
from mitorch_service.training.data.formats.image_folders import first_folder_with
from mitorch_service.training.data.image_list import ImageList, PackedStrings
from mitorch_service.training.data.targets import ClassTargets

# With all columns of one of these, it is a file of boxes.
_BOXES = ({"x", "y", "w", "h"}, {"x", "y", "width", "height"}, {"bbox"}, *map(set, CORNERS))


def find_columns(path: Path, name: str) -> tuple[int, int] | None:
    """The columns of the image and of its class, if the file's first line names both, and no corners of boxes."""
    header = header_of(next(rows(path, name), (0, []))[1])
    found = [[header.index(word) for word in words if word in header] for words in (IMAGE, LABEL)]
    if not all(found) or any(boxes <= set(header) for boxes in _BOXES):
        return None
    return found[0][0], found[1][0]


def read_label_csv(path: Path, name: str, columns: tuple[int, int], classes: ClassList | None) -> ImageList:
    """Reads a multiclass set with the columns that `find_columns` has found; without `classes`, they are the labels,
    sorted. Logs the columns that are not read. The images are beside the file or in ``images`` there. Raises DataError
    with the line for a row without image or label, a class that is not in `classes`, and an image with two classes."""
    ids = ClassIds(classes)
    images, labels = PackedStrings(), array("i")
    seen: dict[int, int] = {}  # hashes of the images, which take less than the names
    lines = rows(path, name)
    tell_unread(header_of(next(lines)[1]), columns, name)
    for line, row in lines:
        if len(row) <= max(columns):
            raise DataError(f"{name}, line {line}: has {len(row)} columns, fewer than the first line.")
        image, label = (row[column].strip() for column in columns)
        if not image or not label:
            raise DataError(f"{name}, line {line}: {excerpt(row[columns[0]])} has no {'label' if image else 'image'}.")
        class_id = ids.id(label, f"{name}, line {line}")
        if seen.setdefault(hash(image), class_id) != class_id:
            problem = "has another class on a line before. Write sets with several classes per image as text files."
            raise DataError(f"{name}, line {line}: {excerpt(image)} {problem}")
        images.append(image)
        labels.append(class_id)
    if not labels:
        raise DataError(f"{name}: names no image. Write a line with an image and its class for each.")
    folder = first_folder_with(images[0], [path.parent, path.parent / "images"])
    return ImageList(name, folder, images, ClassTargets(labels), ids.finish(labels))
