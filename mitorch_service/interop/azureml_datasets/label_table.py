"""Reads a table of labels as the label API exports it: ``image_url``, ``label``, ``label_confidence``."""

from __future__ import annotations

import ast
import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from mitorch_service.annotations.annotated_image import Box
from mitorch_service.errors import DataError, Problem

COLUMNS = ("image_url", "label")
_CONFIDENCE = "label_confidence"
_CORNERS = ("bottomX", "bottomY", "topX", "topY")
_NAMES = ("type", "label")  # the page has type, the exporter label
_SHOWN = 80
_MOST_PROBLEMS = 20
_LONGEST_CELL = 1_000_000  # characters: what a cell holds takes a hundred times as much while it is read


@dataclass
class LabelTable:
    """The objects of each image, and what was left out."""

    boxes: dict[str, list[Box]] = field(default_factory=dict)  # by image_url
    unsure: int = 0  # objects below the confidence
    empty: int = 0  # boxes without an area
    problems: list[Problem] = field(default_factory=list)


def read_label_table(name: str, lines: Iterable[str], delimiter: str = ",", min_confidence: float = 0.0) -> LabelTable:
    """Reads the rows; several of one image are added up. An object whose confidence is below `min_confidence` is left
    out and counted; one without a confidence is kept. Raises DataError for a table without the columns; rows that
    cannot be read are problems."""
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(lines, delimiter=delimiter)
    table = LabelTable()
    try:
        header = [column.strip().removeprefix("\ufeff") for column in next(reader, [])]
        missing = [column for column in COLUMNS if column not in header]
        if missing:
            there = f"it has {_shown(header)}" if header else "it is empty"
            raise DataError(f"{name} has no column {' and no column '.join(missing)}: {there}")
        for row in reader:
            if row and len(table.problems) < _MOST_PROBLEMS:
                _read_row(table, dict(zip(header, row, strict=False)), reader.line_num, min_confidence)
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{name}, line {reader.line_num}: {error}") from error
    return table


def _shown(header: list[str]) -> str:
    """The columns for people; what is no table, such as a picture, may have a line of anything."""
    names = [name if name.isprintable() and len(name) <= _SHOWN else repr(name[:_SHOWN]) for name in header]
    return ", ".join(names[:_MOST_PROBLEMS])


def _read_row(table: LabelTable, row: Mapping[str, str], line: int, min_confidence: float) -> None:
    image = (row.get("image_url") or "").strip().lstrip("/")
    try:
        if not image:
            raise ValueError("image_url is empty")
        objects = _list_of(row.get("label") or "[]", "label")
        confidences = _list_of(row.get(_CONFIDENCE) or "[]", _CONFIDENCE)
        if confidences and len(confidences) != len(objects):
            raise ValueError(f"{_CONFIDENCE} has {len(confidences)} values for {len(objects)} objects")
        boxes = table.boxes.setdefault(image, [])
        for found, confidence in zip(objects, confidences or [None] * len(objects), strict=True):
            box = _box(found)
            if confidence is not None and _confidence(confidence, min_confidence) < min_confidence:
                table.unsure += 1
            elif box.right <= box.left or box.bottom <= box.top:
                table.empty += 1
            else:
                boxes.append(box)
    except ValueError as error:
        table.problems.append(Problem(f"line {line}", f"{image[:_SHOWN]}: {error}" if image else str(error)))


def _confidence(value: object, min_confidence: float) -> float:
    """The confidence, which must be from 0 to 1 if it is asked for: percentages would all be above it."""
    number = _number(value, _CONFIDENCE)
    if min_confidence > 0 and not 0 <= number <= 1:
        raise ValueError(f"{_CONFIDENCE} is {number:g}, and must be from 0 to 1 for --min-confidence")
    return number


def _list_of(text: str, column: str) -> list[object]:
    """The list in a cell: Python's text of it (a dump of a data frame), or JSON."""
    for read in (ast.literal_eval, json.loads):
        try:
            value = read(text)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):  # TypeError: of keys that are lists
            continue
        if isinstance(value, list):
            return value
    raise ValueError(f"{column} is no list: {text[:_SHOWN]!r}")


def _box(found: object) -> Box:
    if not isinstance(found, Mapping):
        raise ValueError(f"an object is no {{…}}: {str(found)[:_SHOWN]!r}")
    name = next((found[key] for key in _NAMES if key in found), None)
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"an object has neither type nor label: {str(found)[:_SHOWN]}")
    missing = [corner for corner in _CORNERS if corner not in found]
    if missing:
        raise ValueError(f"an object has no {', '.join(missing)}: {str(found)[:_SHOWN]}")
    left, top, right, bottom = (_number(found[corner], corner) for corner in _CORNERS)
    return Box(name.strip(), left, top, right, bottom)


def _number(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{name} is no number: {str(value)[:_SHOWN]!r}")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{name} is no number: {str(value)[:_SHOWN]!r}")
    return number


def classes_of(tables: Iterable[LabelTable]) -> list[str]:
    """The names of all classes, sorted."""
    return sorted({box.class_name for table in tables for boxes in table.boxes.values() for box in boxes})


def rows_of(images: Iterable[tuple[str, list[Box]]]) -> Iterator[tuple[object, ...]]:
    """The rows of our CSV of boxes, with its header; an image without one has a row with its name only."""
    yield ("image", "x1", "y1", "x2", "y2", "class")
    for path, boxes in images:
        for box in boxes:
            yield (path, box.left, box.top, box.right, box.bottom, box.class_name)
        if not boxes:
            yield (path, "", "", "", "", "")
