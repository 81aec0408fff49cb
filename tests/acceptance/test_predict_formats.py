"""mipredict in every format, by weights that were not trained: the same boxes in all."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.training.data.annotated_images import annotated_images
from mitorch_service.training.data.formats.registry import read_image_list
from mitorch_service.training.loop.weights_metadata import describe_weights
from mitorch_service.training.networks.weights import save_weights
from mitorch_service.training.tasks.base import open_task
from tests.acceptance.conftest import Machine
from tests.unit.training.shapes import draw_shapes, write_detection

PICTURES = 3
MODEL = {"name": "test_resnet-ssdlite", "input_size": 64, "options": {"detections_per_img": 4}}
Corners = list[float]


def furnish(folder: Path) -> None:
    """Writes pictures, a list of them, and weights of a detector, which finds four boxes in each."""
    data = read_image_list(write_detection(folder, draw_shapes(PICTURES)))
    config = TrainingConfig.model_validate({"model": MODEL, "task_type": "object_detection", "num_workers": 0})
    torch.manual_seed(0)
    network = open_task(config.task_type).build_network(config.model, len(data.classes))
    metadata = describe_weights(config, network, data).model_copy(update={"threshold": 0.0})
    save_weights(network.module.state_dict(), folder / "m.pth", metadata)


def of_json(out: Path) -> list[Corners]:
    boxes = [box for line in out.read_text().splitlines() for box in json.loads(line)["boxes"]]
    return [[box[side] for side in ("x_min", "y_min", "x_max", "y_max")] for box in boxes]


def of_csv(out: Path) -> list[Corners]:
    rows = csv.DictReader(io.StringIO(out.read_text()))
    return [[float(row[side]) for side in ("x1", "y1", "x2", "y2")] for row in rows if row["class"]]


def of_data_set(out: Path) -> list[Corners]:
    images = read_image_list(out)
    boxes = [box for image, _ in annotated_images(images) for box in image.boxes]
    return [[box.left, box.top, box.right, box.bottom] for box in boxes]


def of_voc(out: Path) -> list[Corners]:
    """Without images, which a person puts there."""
    assert len(list((out / "Annotations").rglob("*.xml"))) == PICTURES
    with_images(out / "JPEGImages", out.parents[1])
    return of_data_set(out)


def of_yolo(out: Path) -> list[Corners]:
    with_images(out / "images", out.parents[1])
    return of_data_set(out / "data.yaml")


def with_images(folder: Path, pictures: Path) -> None:
    """Puts the pictures where the format has them."""
    (folder / "train").mkdir(parents=True, exist_ok=True)
    for path in (pictures / "train").glob("*.png"):
        (folder / "train" / path.name).write_bytes(path.read_bytes())


FORMATS: dict[str, tuple[str, Callable[[Path], list[Corners]]]] = {
    "json": ("out.json", of_json),
    "csv": ("out.csv", of_csv),
    "coco": ("out.json", of_data_set),
    "cvat": ("out.xml", of_data_set),
    "text": ("out", lambda out: of_data_set(out / "images.txt")),
    "voc": ("out", of_voc),
    "yolo": ("out", of_yolo),
}


@pytest.mark.long
def test_all_formats_have_the_same_boxes(bare_machine: Machine) -> None:
    machine = bare_machine
    furnish(machine.folder)
    expected: list[Corners] = []
    for form, (name, read) in FORMATS.items():
        machine.ok("predict", "m.pth", "train.txt", "--format", form, "-o", f"{form}/{name}")
        found = read(machine.folder / form / name)
        expected = expected or found  # those of JSON
        assert len(found) == 4 * PICTURES, form
        assert all(any(box == pytest.approx(one, abs=0.011) for one in found) for box in expected), form
