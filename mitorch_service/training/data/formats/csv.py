"""Boxes and labels in CSV files: those of VoTT, of the TensorFlow object detection seed, and label tables."""

from __future__ import annotations

import ast
import csv
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import cast

from mitorch_service.errors import DataError
from mitorch_service.training.data.boxes.box_flaws import Corners
from mitorch_service.training.data.class_names import ClassList
from mitorch_service.training.data.excerpts import excerpt
from mitorch_service.training.data.formats.entries import Entry, collect_boxes
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.data.regular_files import open_text
from mitorch_service.wording.counted import are

log = logging.getLogger("mitorch")

_Row = tuple[int, list[str]]  # its line and columns

# The names of the columns; of the corners x_min, y_min, x_max, y_max.
IMAGE = ("filename", "file", "file_name", "image", "image_path", "path")
LABEL = ("label", "class", "class_name", "category")
CORNERS = (("x1", "y1", "x2", "y2"), ("xmin", "ymin", "xmax", "ymax"), ("x_min", "y_min", "x_max", "y_max"))
_VOTT = ("image", "x1", "y1", "x2", "y2", "class")  # without a header, the columns in this order
_VOTT_PLACES = (0, 5, 1, 2, 3, 4)  # of the image, the class and the corners in it
_TABLE = ("image_url", "label")
_SHOWN = 10  # columns that a message names
_FIELD_LIMIT = 1 << 24  # bytes: the labels of an image with many boxes are one field


def read_csv(path: Path, name: str, classes: ClassList | None) -> ImageList:
    """Reads a detection set; without `classes`, they are the labels, sorted.

    One row for each box: ``image,x1,y1,x2,y2,class``, with or without this header, or one with names of `IMAGE`,
    `LABEL` and `CORNERS`; an empty class marks an image that shows nothing. Or a label table with one row for each
    image: ``image_url`` and ``label``, a list of {"type" (or "label"), "bottomX", "topX", "bottomY", "topY"}, written
    as in Python. All in pixels. The images are beside the file, in ``images`` there, or in ``images`` beside the file's
    folder, as with exp_config.json. Logs the columns that are not read. Raises DataError with the line for whatever
    does not fit.
    """
    folders = [path.parent, path.parent / "images", path.parent.parent / "images"]
    return collect_boxes(_entries(path, name), name, "line", classes, folders)


def _entries(path: Path, name: str) -> Iterator[Entry]:
    """Detects the kind of file by its first row, then yields every box and every image without one."""
    lines = rows(path, name)
    first = next(lines, None)
    if first is None:
        raise DataError(f"{name}: is empty.")
    header = header_of(first[1])
    if set(_TABLE) <= set(header):
        tell_unread(header, map(header.index, _TABLE), name)
        return _table_entries(lines, header, name)
    places = _places(header)
    if places is not None:
        tell_unread(header, places, name)
        return _box_entries(lines, places, len(header), name)
    if len(header) == len(_VOTT) and _is_number(header[1]):
        return _box_entries(chain([first], lines), _VOTT_PLACES, len(header), name)
    raise DataError(_unknown(header, name))


def rows(path: Path, name: str) -> Iterator[_Row]:
    """The rows that are not blank (spreadsheets leave some with commas only)."""
    csv.field_size_limit(_FIELD_LIMIT)
    try:
        with open_text(path, newline="") as file:
            reader = csv.reader(file, skipinitialspace=True)
            yield from ((reader.line_num, row) for row in reader if any(row))
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({error.strerror}). Check the path.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{name}: is not a CSV file in UTF-8 ({error}).") from error


def header_of(columns: list[str]) -> list[str]:
    """The names of the columns as they are compared."""
    return [column.strip().strip('"').lower() for column in columns]


def _places(header: list[str]) -> tuple[int, ...] | None:
    """The columns of the image, the class and the four corners, or None for an unknown header."""
    image, label = (next((header.index(word) for word in words if word in header), None) for words in (IMAGE, LABEL))
    corners = next((four for four in CORNERS if set(four) <= set(header)), None)
    if image is None or label is None or corners is None:
        return None
    return (image, label, *map(header.index, corners))


def tell_unread(header: Sequence[str], read: Iterable[int], name: str) -> None:
    """Logs the columns that are not read. One without a name is pandas' index."""
    used = set(read)
    if others := [excerpt(column) for place, column in enumerate(header) if column and place not in used]:
        columns = "column" if len(others) == 1 else "columns"
        log.warning("%s: the %s %s %s not read", name, columns, ", ".join(others[:_SHOWN]), are(len(others)))


def _is_number(text: str) -> bool:
    try:
        float(text or "0")  # an image without boxes has empty columns
    except ValueError:
        return False
    return True


def _unknown(header: list[str], name: str) -> str:
    known = "; ".join(",".join(("filename", *corners, "class")) for corners in CORNERS)
    return (
        f"{name}: the first line ({','.join(header)[:200]}) is neither a header with {known} (in any order) or "
        f"{','.join(_TABLE)}, nor filename,label, nor a row {','.join(_VOTT)}."
    )


def _box_entries(rows: Iterator[_Row], places: Sequence[int], columns: int, name: str) -> Iterator[Entry]:
    for line, row in rows:
        try:
            yield _box_entry(line, row, places)
        except (ValueError, IndexError) as error:
            expected = "the image, a class and four numbers" if len(row) >= columns else f"{columns} columns"
            raise DataError(f"{name}, line {line}: {excerpt(','.join(row))} does not have {expected}.") from error


def _box_entry(line: int, row: Sequence[str], places: Sequence[int]) -> Entry:
    """Raises ValueError or IndexError for a row that does not fit."""
    image, label, x_min, y_min, x_max, y_max = [row[place].strip() for place in places]
    if not image:
        raise ValueError("no image")
    if not label:
        return Entry(line, image)
    return Entry(line, image, label, (float(x_min), float(y_min), float(x_max), float(y_max)))


def _table_entries(rows: Iterator[_Row], header: list[str], name: str) -> Iterator[Entry]:
    image_at, label_at = (header.index(column) for column in _TABLE)
    for line, row in rows:
        where = f"{name}, line {line}"
        if len(row) <= max(image_at, label_at):
            raise DataError(f"{where}: has {len(row)} columns, fewer than the first line.")
        image = row[image_at].strip()
        if not image:
            raise DataError(f"{where}: {_TABLE[0]} is empty.")
        yield Entry(line, image)
        for item in _literal(row[label_at], where):
            label, corners = _table_box(item, where)
            yield Entry(line, image, label, corners if label else None)


def _literal(text: str, where: str) -> list[object]:
    try:
        value = ast.literal_eval(text) if text.strip() else []
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        value = None
    if not isinstance(value, list):
        raise DataError(f"{where}: the label is not a list such as [{{'type': …, 'bottomX': …, …}}].")
    return value


def _table_box(item: object, where: str) -> tuple[str, Corners]:
    """The class and the box. The table's bottom and top are the two ends of the box, in either order."""
    box = cast("Mapping[str, str | float]", item)
    try:
        label = str(box["type"] if "type" in box else box["label"])
        x_min, x_max = sorted((float(box["bottomX"]), float(box["topX"])))
        y_min, y_max = sorted((float(box["bottomY"]), float(box["topY"])))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        needed = "type (or label), bottomX, topX, bottomY and topY"
        raise DataError(
            f"{where}: {excerpt(item)} is not a box with {needed} ({type(error).__name__}: {error})."
        ) from error
    return label, (x_min, y_min, x_max, y_max)
