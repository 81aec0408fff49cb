"""CSV: ``image,x1,y1,x2,y2,class`` with a row for each box, or ``image,label`` with a row for each class.

Predictions have a column ``score`` more. An image that shows nothing has a row with its name only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from mitorch_service.annotations.annotated_image import AnnotatedImage
from mitorch_service.annotations.writers.content_kind import content_kind
from mitorch_service.annotations.writers.csv_rows import CsvRows
from mitorch_service.annotations.writers.new_output import new_file
from mitorch_service.annotations.writers.numbers import decimal

_BOXES = ("image", "x1", "y1", "x2", "y2", "class")
_LABELS = ("image", "label")


def write_csv(images: Iterator[AnnotatedImage], classes: Sequence[str], out: Path) -> None:
    """Writes one file."""
    with new_file(out) as file:
        write_rows(images, file)


def write_rows(images: Iterator[AnnotatedImage], file: TextIO) -> None:
    """Writes the header and the rows, as the images come."""
    kind, images = content_kind(images, "csv")
    columns = (_LABELS if kind.labels else _BOXES) + (("score",) if kind.scored else ())
    writer = CsvRows(file)
    writer.writerow(columns)
    for image in images:
        rows = list(_rows(image)) or [(image.path,)]
        writer.writerows((row + ("",) * len(columns))[: len(columns)] for row in rows)


def _rows(image: AnnotatedImage) -> Iterator[tuple[str, ...]]:
    for box in image.boxes:
        corners = map(decimal, (box.left, box.top, box.right, box.bottom))
        yield (image.path, *corners, box.class_name, _score(box.score))
    for label in image.labels:
        yield image.path, label.class_name, _score(label.score)


def _score(score: float | None) -> str:
    return "" if score is None else decimal(score, 6)
