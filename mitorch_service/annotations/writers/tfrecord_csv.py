"""The CSV from which TensorFlow's scripts make TFRecords, with ``labelmap.pbtxt``, whose ids count from 1."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from mitorch_service.annotations.annotated_image import AnnotatedImage
from mitorch_service.annotations.writers.boxes_only import refuse_labels
from mitorch_service.annotations.writers.csv_rows import CsvRows
from mitorch_service.annotations.writers.new_output import new_folder
from mitorch_service.annotations.writers.numbers import decimal

TABLE, LABEL_MAP = "labels.csv", "labelmap.pbtxt"
_COLUMNS = ("class", "filename", "height", "width", "xmax", "xmin", "ymax", "ymin")


def write_tfrecord_csv(images: Iterator[AnnotatedImage], classes: Sequence[str], out: Path) -> None:
    """Writes a folder. An image that shows nothing has a row without a class."""
    with new_folder(out) as folder:
        items = (f"item {{\n  id: {n}\n  name: {json.dumps(name)}\n}}\n" for n, name in enumerate(classes, 1))
        (folder / LABEL_MAP).write_text("".join(items), encoding="utf-8", newline="\n")
        with (folder / TABLE).open("x", encoding="utf-8", newline="") as file:
            writer = CsvRows(file)
            writer.writerow(_COLUMNS)
            for image in images:
                refuse_labels(image, "tfrecord-csv")
                writer.writerows(_rows(image))


def _rows(image: AnnotatedImage) -> list[tuple[object, ...]]:
    about = image.path, image.height, image.width
    rows: list[tuple[object, ...]] = [
        (box.class_name, *about, *map(decimal, (box.right, box.left, box.bottom, box.top))) for box in image.boxes
    ]
    return rows or [("", *about, "", "", "", "")]
