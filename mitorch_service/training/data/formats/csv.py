"""Boxes and labels in CSV files: those of VoTT, of the TensorFlow object detection seed, and label tables."""

from __future__ import annotations

import ast
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mitorch_service.errors import DataError
from mitorch_service.training.data.box_list import BoxList
from mitorch_service.training.data.class_names import ClassIds, ClassList
from mitorch_service.training.data.formats.image_folders import folder_of
from mitorch_service.training.data.image_list import ImageList

Corners = tuple[float, float, float, float]


class _Found(NamedTuple):
    image: str
    label: str  # empty: the image shows nothing
    corners: Corners


# Where each kind of file has the image, the class and the corners x_min, y_min, x_max, y_max.
_HEADERS = (
    ("image", "class", ("x1", "y1", "x2", "y2")),
    ("filename", "class", ("xmin", "ymin", "xmax", "ymax")),
    ("image", "class", ("xmin", "ymin", "xmax", "ymax")),
    ("image", "label", ("xmin", "ymin", "xmax", "ymax")),  # VoTT 2
)
_VOTT = ("image", "x1", "y1", "x2", "y2", "class")  # without a header, the columns in this order
_TABLE = ("image_url", "label")
_FIELD_LIMIT = 1 << 24  # bytes: the labels of an image with many boxes are one field


def read_csv(path: Path, name: str, classes: ClassList | None) -> ImageList:
    """One row for each box: ``image,x1,y1,x2,y2,class``, with or without this header, or one with
    ``filename,class,xmin,ymin,xmax,ymax``; an empty class marks an image that shows nothing. Or a label table with one
    row for each image: ``image_url`` and ``label``, a list of {"type" (or "label"), "bottomX", "topX", "bottomY",
    "topY"}, written as in Python. All in pixels. The images lie beside the file or in ``images`` there.

    Classes are sorted by name, unless a list is given. Raises DataError with the line for anything that does not fit.
    """
    ids, boxes = ClassIds(classes), BoxList(name)
    for line, (image, label, corners) in _found(path, name):
        number = boxes.image(image)
        if label:
            known = ids.known.get(label)
            boxes.add(number, ids.id(label, f"{name}, line {line}") if known is None else known, corners)
    return boxes.finish(folder_of(boxes.first_image, [path.parent, path.parent / "images"]), ids.finish(boxes.labels))


def _found(path: Path, name: str) -> Iterator[tuple[int, _Found]]:
    """Every box and every image without one, with its line. Raises DataError."""
    rows = _rows(path, name)
    first = next(rows, None)
    if first is None:
        raise DataError(f"{name}: is empty.")
    header = [column.strip().strip('"').lower() for column in first[1]]
    if set(_TABLE) <= set(header):
        yield from _labels(rows, header, name)
        return
    places = _places(header)
    if places is None:
        if len(header) != len(_VOTT) or not _is_number(header[1]):
            raise DataError(_unknown(header, name))
        places, rows = _places(list(_VOTT)), _again(first, rows)
    for line, row in rows:
        try:
            yield line, _box(row, places or ())
        except (ValueError, IndexError) as error:
            columns = "the image, a class and four numbers" if len(row) >= len(header) else f"{len(header)} columns"
            raise DataError(f"{name}, line {line}: {','.join(row)!r} does not have {columns}.") from error


def _rows(path: Path, name: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank (spreadsheets leave some with commas only), with their lines."""
    csv.field_size_limit(_FIELD_LIMIT)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, skipinitialspace=True)
            yield from ((reader.line_num, row) for row in reader if any(row))
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({error.strerror}). Check the path.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{name}: is not a CSV file in UTF-8 ({error}).") from error


def _again(first: tuple[int, list[str]], rows: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    yield first
    yield from rows


def _places(header: list[str]) -> tuple[int, ...] | None:
    """The columns of image, class and the four corners, or None for a header that is none of ours."""
    for image, label, corners in _HEADERS:
        if {image, label, *corners} <= set(header):
            return tuple(header.index(column) for column in (image, label, *corners))
    return None


def _box(row: Sequence[str], places: Sequence[int]) -> _Found:
    """Raises ValueError or IndexError for a row that is none."""
    image, label, x_min, y_min, x_max, y_max = [row[place] for place in places]
    if not image.strip():
        raise ValueError("no image")
    if not label.strip():
        return _Found(image, "", (0, 0, 0, 0))
    return _Found(image, label.strip(), (float(x_min), float(y_min), float(x_max), float(y_max)))


def _labels(rows: Iterator[tuple[int, list[str]]], header: list[str], name: str) -> Iterator[tuple[int, _Found]]:
    image_at, label_at = (header.index(column) for column in _TABLE)
    for line, row in rows:
        where = f"{name}, line {line}"
        if len(row) <= max(image_at, label_at):
            raise DataError(f"{where}: has {len(row)} columns, fewer than the first line.")
        entries = _literal(row[label_at], where)
        yield from ((line, _entry(entry, row[image_at], where)) for entry in entries)
        if not entries:
            yield line, _Found(row[image_at], "", (0, 0, 0, 0))


def _literal(text: str, where: str) -> list[Any]:
    try:
        value = ast.literal_eval(text) if text.strip() else []
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        value = None
    if not isinstance(value, list):
        raise DataError(f"{where}: the label is no list such as [{{'type': …, 'bottomX': …, …}}].")
    return value


def _entry(entry: Any, image: str, where: str) -> _Found:
    """The table's bottom and top are the two ends of the box, whichever is the smaller."""
    try:
        label = str(entry["type"] if "type" in entry else entry["label"])
        x, y = (sorted((float(entry[f"bottom{axis}"]), float(entry[f"top{axis}"]))) for axis in "XY")
    except (KeyError, TypeError, ValueError) as error:
        needed = "type (or label), bottomX, topX, bottomY and topY"
        raise DataError(f"{where}: {entry!r} is no box with {needed} ({type(error).__name__}: {error}).") from error
    return _Found(image, label, (x[0], y[0], x[1], y[1]))


def _is_number(text: str) -> bool:
    try:
        float(text or "0")  # of a clean image
    except ValueError:
        return False
    return True


def _unknown(header: list[str], name: str) -> str:
    known = "; ".join(",".join((image, *corners, label)) for image, label, corners in _HEADERS)
    return (
        f"{name}: the first line ({','.join(header)[:200]}) is neither a header with {known} (in any order) or "
        f"{','.join(_TABLE)}, nor a row {','.join(_VOTT)}."
    )
