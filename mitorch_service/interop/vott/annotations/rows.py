"""Reads the rows of an annotation file one by one: an image's address, four numbers, a class."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.interop.vott.web.web_address import BadAddress, web_address
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.training.data.excerpts import excerpt

BoxFormat = Literal["corners", "size"]  # x1,y1,x2,y2 or x,y,width,height
Numbers = tuple[float, float, float, float]

COLUMNS = 6
MAX_CLASS = 200  # characters
_MOST_PROBLEMS = 20  # that are told of one file
_ENOUGH = 1000  # wrong rows, after which it is not read on
_IMAGE = ("image", "url", "image_url", "filename", "file", "path", "image_path")
_LABEL = ("class", "label", "class_name", "tag", "category")
_NUMBERS: dict[BoxFormat, tuple[tuple[str, ...], ...]] = {
    "corners": (("x1", "y1", "x2", "y2"), ("xmin", "ymin", "xmax", "ymax"), ("x_min", "y_min", "x_max", "y_max")),
    "size": (("x", "y", "width", "height"), ("x", "y", "w", "h"), ("left", "top", "width", "height")),
}


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the file: an image without a class shows nothing that is looked for."""

    line: int
    address: str
    label: str = ""
    numbers: Numbers = (0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Layout:
    """The columns of a file, and the meaning of its numbers if a header says it."""

    places: tuple[int, ...] = (0, 1, 2, 3, 4, 5)  # of the address, the four numbers and the class
    box_format: BoxFormat | None = None
    has_header: bool = False


def read_layout(path: Path, source: str) -> Layout:
    """Reads the first row: a header, or a box. Raises InvalidInput for an empty file or an unknown header."""
    for _, columns in _csv_rows(path, source):
        if len(columns) >= COLUMNS and _numbers(columns[1:5]) is not None:
            return Layout()
        names = [column.strip().lower() for column in columns]
        found = _layout_of(names)
        if found is not None:
            return found
        if "://" in columns[0]:  # a row that is wrong: told with its line
            return Layout()
        problem = (
            f"the first line ({excerpt(','.join(names))}) is neither a header with image,x1,y1,x2,y2,class or "
            "image,x,y,width,height,class nor a row such as https://HOST/1.jpg,10,10,60,40,cat"
        )
        raise InvalidInput(source, [Problem("line 1", problem)])
    raise InvalidInput(source, [Problem("", "is empty: it needs a row URL,x1,y1,x2,y2,class for each box")])


def read_rows(path: Path, source: str, layout: Layout) -> Iterator[Row]:
    """Yields the rows; nothing of the file is held. Raises InvalidInput at its end, with the first problems, if there
    are any."""
    problems: list[Problem] = []
    wrong = 0
    rows = _csv_rows(path, source)
    if layout.has_header:
        next(rows, None)
    for line, columns in rows:
        try:
            yield _row(line, columns, layout)
        except ValueError as error:
            wrong += 1
            if len(problems) < _MOST_PROBLEMS:
                problems.append(Problem(f"line {line}", f"{mask_secrets(excerpt(','.join(columns)))} {error}"))
            if wrong == _ENOUGH:
                break
    if wrong > len(problems):
        problems.append(Problem("", f"and {wrong - len(problems)} more, as far as it was read"))
    if problems:
        raise InvalidInput(source, problems)


def _row(line: int, columns: Sequence[str], layout: Layout) -> Row:
    """Raises ValueError with what is wrong."""
    if len(columns) <= max(layout.places) and any(column.strip() for column in columns[1:]):
        raise ValueError(f"has {len(columns)} columns instead of {COLUMNS}: URL,x1,y1,x2,y2,class")
    cells = [columns[place].strip() if place < len(columns) else "" for place in layout.places]
    address, *numbers, label = cells
    if problem := _address_problem(address):
        raise ValueError(f"has an image that {problem}")
    if not label:
        if any(numbers):
            raise ValueError("has a box without a class")
        return Row(line, address)
    if len(label) > MAX_CLASS or not label.isprintable():
        raise ValueError(f"has a class of more than {MAX_CLASS} characters, or with one that cannot be printed")
    found = _numbers(numbers)
    if found is None:
        raise ValueError("does not have four numbers that are finite")
    return Row(line, address, label, found)


@lru_cache(1024)  # the boxes of an image are mostly together
def _address_problem(text: str) -> str | None:
    try:
        web_address(text)
    except BadAddress as error:
        return str(error)
    return None


def _numbers(texts: Sequence[str]) -> Numbers | None:
    try:
        first, second, third, fourth = (float(text) for text in texts)
    except ValueError:
        return None
    found = (first, second, third, fourth)
    return found if all(map(math.isfinite, found)) else None


def _layout_of(names: Sequence[str]) -> Layout | None:
    image, label = (next((names.index(word) for word in words if word in names), None) for words in (_IMAGE, _LABEL))
    if image is None or label is None:
        return None
    for box_format, choices in _NUMBERS.items():
        for four in choices:
            if set(four) <= set(names):
                return Layout((image, *map(names.index, four), label), box_format, True)
    return None


def _csv_rows(path: Path, source: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, skipinitialspace=True)
            yield from ((reader.line_num, row) for row in reader if any(map(str.strip, row)))
    except UnicodeDecodeError:
        raise InvalidInput(source, [Problem("", "is not text in UTF-8")]) from None
    except csv.Error as error:
        raise InvalidInput(source, [Problem("", f"is not a CSV file ({error})")]) from None
