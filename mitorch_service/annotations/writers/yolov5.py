"""YOLOv5's own layout: a file for each image in ``labels/``, images belong into ``images/``, ``dataset.yaml``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from mitorch_service.annotations.annotated_image import AnnotatedImage
from mitorch_service.annotations.writers.new_output import new_folder
from mitorch_service.annotations.writers.yolo import IMAGES, quoted, write_labels


def write_yolov5(images: Iterator[AnnotatedImage], classes: Sequence[str], out: Path) -> None:
    """Writes a folder. Raises DataError for two images that differ in their extensions only."""
    with new_folder(out) as folder:
        write_labels(images, classes, folder)
        (folder / "dataset.yaml").write_text(dataset_yaml({"train": IMAGES, "val": IMAGES}, classes), encoding="utf-8")


def dataset_yaml(splits: dict[str, str], classes: Sequence[str]) -> str:
    """The file that names the folders of images and the classes; earlier releases read a list of names only."""
    lines = [f"{split}: {quoted(folder)}" for split, folder in splits.items()]
    return "\n".join([*lines, f"nc: {len(classes)}", f"names: [{', '.join(map(quoted, classes))}]"]) + "\n"
