"""COCO's JSON, with the score of a prediction in ``score``, as in COCO's results."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from mitorch_service.annotations.annotated_image import AnnotatedImage, Box
from mitorch_service.annotations.writers.boxes_only import refuse_labels
from mitorch_service.annotations.writers.new_output import new_file
from mitorch_service.wording.control_characters import json_text


def write_coco(images: Iterator[AnnotatedImage], classes: Sequence[str], out: Path) -> None:
    """Writes one file: images and annotations are numbered from 1, categories are the classes from 1."""
    numbers = {name: number for number, name in enumerate(classes, 1)}
    categories = [{"id": number, "name": name} for name, number in numbers.items()]
    with new_file(out) as file, tempfile.TemporaryFile("w+", encoding="utf-8") as annotations:
        file.write(f'{{"categories": {_json(categories)},\n"images": [')
        count = 0
        for image_id, image in enumerate(images, 1):
            refuse_labels(image, "COCO")
            file.write(("" if image_id == 1 else ",") + "\n" + _json(_image(image_id, image)))
            for box in image.boxes:
                count += 1
                annotation = _annotation(count, image_id, numbers[box.class_name], box)
                annotations.write(("" if count == 1 else ",") + "\n" + json.dumps(annotation))
        file.write('],\n"annotations": [')
        annotations.seek(0)
        shutil.copyfileobj(annotations, file)
        file.write("]}\n")


def _json(value: object) -> str:
    return json_text(json.dumps(value, ensure_ascii=False))  # readable, but for what a terminal would obey


def _image(image_id: int, image: AnnotatedImage) -> dict[str, object]:
    return {"id": image_id, "file_name": image.path, "width": image.width, "height": image.height}


def _annotation(number: int, image_id: int, category: int, box: Box) -> dict[str, object]:
    x, y, width, height = (round(one, 4) for one in (box.left, box.top, box.right - box.left, box.bottom - box.top))
    found: dict[str, object] = {"id": number, "image_id": image_id, "category_id": category}
    found |= {"bbox": [x, y, width, height], "area": round(width * height, 4), "iscrowd": 0, "segmentation": []}
    return found if box.score is None else found | {"score": round(box.score, 6)}
