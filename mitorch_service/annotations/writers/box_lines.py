"""A line for each image, ``PATH x1,y1,x2,y2,ID x1,y1,…``, as the YOLO of Keras reads it, and the names of the ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from mitorch_service.annotations.annotated_image import AnnotatedImage
from mitorch_service.annotations.text_lines import class_list_text
from mitorch_service.annotations.writers.boxes_only import refuse_labels
from mitorch_service.annotations.writers.new_output import new_folder
from mitorch_service.annotations.writers.numbers import decimal
from mitorch_service.errors import DataError

LIST, NAMES = "images.txt", "images_labels.txt"


def write_box_lines(images: Iterator[AnnotatedImage], classes: Sequence[str], out: Path) -> None:
    """Writes a folder. Raises DataError for an image with white space in its path."""
    ids = {name: number for number, name in enumerate(classes)}
    with new_folder(out) as folder, (folder / LIST).open("x", encoding="utf-8", newline="\n") as file:
        (folder / NAMES).write_text(class_list_text(classes), encoding="utf-8", newline="\n")
        for image in images:
            refuse_labels(image, "box-lines")
            if any(map(str.isspace, image.path)):
                raise DataError(f"the path {image.path!r} has white space, which ends it in a line. Rename the file.")
            corners = ((box, map(decimal, (box.left, box.top, box.right, box.bottom))) for box in image.boxes)
            file.write(" ".join([image.path, *(f"{','.join(four)},{ids[box.class_name]}" for box, four in corners)]))
            file.write("\n")
