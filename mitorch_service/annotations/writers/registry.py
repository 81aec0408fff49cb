"""Writes annotated images in a format by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from mitorch_service.annotations.annotated_image import AnnotatedImage
from mitorch_service.annotations.writers.box_lines import write_box_lines
from mitorch_service.annotations.writers.checks import check_classes, checked
from mitorch_service.annotations.writers.coco import write_coco
from mitorch_service.annotations.writers.csv import write_csv
from mitorch_service.annotations.writers.cvat import write_cvat
from mitorch_service.annotations.writers.text import write_text
from mitorch_service.annotations.writers.tfrecord_csv import write_tfrecord_csv
from mitorch_service.annotations.writers.voc import write_voc
from mitorch_service.annotations.writers.yolo import write_yolo
from mitorch_service.annotations.writers.yolov5 import write_yolov5

Writer = Callable[[Iterator[AnnotatedImage], Sequence[str], Path], None]

WRITERS: dict[str, Writer] = {
    "cvat": write_cvat,
    "coco": write_coco,
    "voc": write_voc,
    "yolo": write_yolo,
    "text": write_text,
    "csv": write_csv,
}
ONE_WAY: dict[str, Writer] = {  # for programs that train: not read here again, each a folder
    "yolov5": write_yolov5,
    "tfrecord-csv": write_tfrecord_csv,
    "box-lines": write_box_lines,
}
FOLDERS = ("voc", "yolo", "text")  # formats of several files: `out` is their folder


def write_annotations(format: str, images: Iterable[AnnotatedImage], classes: Sequence[str], out: Path) -> None:
    """Writes the images, one after the other, to `out`: a file, or for `FOLDERS` and `ONE_WAY` a folder that is new
    or empty.

    `classes`: all class names in the order of their ids. Where an image's path leads is the caller's business: it is
    written as it is, as is a name that a spreadsheet would take for a formula. `out` is the whole result or as it was
    before. Raises DataError for what the format cannot hold (control characters in names but for csv, which quotes, and
    coco, which escapes; labels in formats of boxes only; …) and where it cannot be written, InvalidInput for a folder
    that is not empty.
    """
    check_classes(classes, format)
    (WRITERS | ONE_WAY)[format](checked(images, classes, format), classes, out)
