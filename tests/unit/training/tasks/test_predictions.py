"""predictions.csv: each prediction beside the file that it is of, boxes in pixels of the original image."""

from __future__ import annotations

import csv
from array import array
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from mitorch_service.models.config.training_config import AugmentationStep
from mitorch_service.training.augmentation.pipeline import build_augmentation, is_fixed
from mitorch_service.training.data.batches.batch import Batch
from mitorch_service.training.data.image_list import ImageList, PackedStrings
from mitorch_service.training.data.images.loading import ImageKey, Images
from mitorch_service.training.data.targets import BoxTargets, ClassTargets
from mitorch_service.training.networks.network import Network
from mitorch_service.training.plots.predictions import write_predictions
from mitorch_service.training.tasks.box_predictions import box_rows
from mitorch_service.training.tasks.classification import LogitsEvaluator
from mitorch_service.training.tasks.evaluated_images import EvaluatedImages
from mitorch_service.training.tasks.multiclass import MulticlassEvaluator
from mitorch_service.training.tasks.multilabel import MultilabelEvaluator

NAMES = ("cat", "dog, or so", "owl")
FILES = ["a.png", "x.zip@b.png", "c d.png"]


class Given(nn.Module):
    """Returns the logits in the images' first row."""

    def forward(self, images: Tensor) -> Tensor:
        return images[:, 0, 0]


NETWORK = Network(Given(), (0.0,) * 3, (1.0,) * 3)


def written(evaluator: LogitsEvaluator, logits: Tensor, targets: Tensor, folder: Path) -> list[dict[str, str]]:
    """The rows, for samples that came in the order c, a, b."""
    evaluator.update(NETWORK.module, Batch(logits[:, None, None].repeat(1, 3, 4, 1), targets))
    data = ImageList("pictures:1 val", Path(), PackedStrings(FILES), ClassTargets([0] * 3), NAMES)
    evaluator.plots(folder, EvaluatedImages(data, [2, 0, 1]))
    return read(folder / "predictions.csv")


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


def test_multiclass(tmp_path: Path) -> None:
    logits = torch.tensor([[0.0, 0.0, 9.0], [9.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    rows = written(MulticlassEvaluator(NETWORK, NAMES), logits, torch.tensor([1, 0, 0]), tmp_path)
    assert [[*list(row.values())[:3], row["correct"]] for row in rows] == [
        ["a.png", "cat", "cat", "1"],
        ["x.zip@b.png", "cat", "cat", "1"],
        ["c d.png", "dog, or so", "owl", "0"],
    ]
    assert float(rows[1]["probability"]) == pytest.approx(logits.softmax(1)[2, 0].item(), abs=1e-6)


def test_multilabel_has_a_row_for_each_class_that_is_true_or_predicted(tmp_path: Path) -> None:
    logits = torch.tensor([[9.0, 9.0, -1.0], [-9.0, -9.0, -9.0], [2.0, -2.0, -2.0]])
    targets = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    rows = written(MultilabelEvaluator(NETWORK, NAMES, 0.5), logits, targets, tmp_path)
    assert [(row["file"], row["label"], row["prediction"], row["correct"]) for row in rows] == [
        ("a.png", "", "", "1"),
        ("x.zip@b.png", "cat", "cat", "1"),
        ("c d.png", "cat", "cat", "1"),
        ("c d.png", "", "dog, or so", "0"),
        ("c d.png", "owl", "", "0"),
    ]
    assert rows[0]["probability"] == ""
    assert float(rows[4]["probability"]) == pytest.approx(torch.tensor(-1.0).sigmoid().item(), abs=1e-6)


def boxes(*corners: tuple[float, float, float, float]) -> Tensor:
    return torch.tensor(corners, dtype=torch.float32).view(-1, 4)


def test_detection_has_a_row_for_each_true_box_and_each_false_detection(tmp_path: Path) -> None:
    true = boxes((0, 0, 10, 10), (20, 20, 40, 40), (60, 60, 70, 70))
    found = boxes((0, 0, 10, 8), (20, 20, 40, 40), (80, 80, 90, 90), (60, 60, 70, 70))
    detection = {
        "boxes": found, "labels": torch.tensor([0, 1, 2, 2]), "scores": torch.tensor([0.9, 0.8, 0.7, 0.1])
    }  # fmt: skip
    target = {"boxes": true, "labels": torch.tensor([0, 0, 2])}
    rows = box_rows(detection, target, NAMES, 0.5, (found * 2).tolist(), (true * 2).tolist())
    path = write_predictions((("a.png", row) for row in rows), tmp_path / "p.csv", boxes=True)
    table = [(row["label"], row["prediction"], row["correct"], row["iou"], row["x_max"]) for row in read(path)]
    assert table == [
        ("cat", "cat", "1", "0.8", "20.00"),
        ("cat", "dog, or so", "0", "1", "80.00"),
        ("owl", "", "0", "", ""),  # its detection is below the confidence
        ("", "owl", "0", "", "180.00"),
    ]
    assert [row["true_y_max"] for row in read(path)] == ["20.00", "80.00", "140.00", ""]
    nothing = {"boxes": boxes(), "labels": torch.zeros(0, dtype=torch.int64)}
    empty = box_rows({**nothing, "scores": torch.zeros(0)}, nothing, NAMES, 0.5, [], [])
    assert [(row.label, row.prediction, row.correct) for row in empty] == [("", "", True)]


@pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
@pytest.mark.parametrize("steps", [["letterbox"], ["resize"], ["smallest_max_size"], ["center_crop"], []])
@pytest.mark.parametrize(
    ("size", "orientation"), [((60, 40), 1), ((40, 60), 1), ((60, 40), 6), ((37, 91), 8), ((9, 5), 1)]
)
def test_boxes_come_back_to_the_pixels_of_the_upright_image(
    tmp_path: Path, steps: list[str], size: tuple[int, int], orientation: int, name: str
) -> None:
    named = [AugmentationStep(name=name) for name in steps]
    augmentation = build_augmentation(named, 32, (0.5,) * 3, "detection", training=False)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", size).save(tmp_path / name, exif=exif)
    middle = array("f", (size[0] * 0.4, size[1] * 0.45, size[0] * 0.6, size[1] * 0.55))
    targets = BoxTargets.grouped(1, array("q", [0]), array("q", [0]), middle)
    data = ImageList("val", tmp_path, PackedStrings([name]), targets, ("cat",))
    seen = Images(data, augmentation, 0)[ImageKey(0, 0)]
    assert isinstance(seen, tuple)
    assert isinstance(seen[1], dict)
    back = EvaluatedImages(data, [0], augmentation).original(0, seen[1]["boxes"])
    turned = orientation in (6, 8)
    width, height = size[::-1] if turned else size
    x, y = ((0.45, 0.55), (0.4, 0.6)) if turned else ((0.4, 0.6), (0.45, 0.55))
    assert is_fixed(named)
    assert back is not None
    expected = [x[0] * width, y[0] * height, x[1] * width, y[1] * height]
    assert back[0] == pytest.approx(expected, abs=0.01)


def test_mirrored_images_are_placed_too(tmp_path: Path) -> None:
    steps = [AugmentationStep(name="horizontal_flip", options={"p": 1}), AugmentationStep(name="resize")]
    placement = build_augmentation(steps, 20, (0.5,) * 3, "detection", training=False).placement((10, 40))
    assert placement.original(boxes((0, 0, 4, 10))).tolist() == [[8, 0, 10, 20]]
    assert not is_fixed(steps)


def test_an_image_that_is_gone_has_no_original_boxes(tmp_path: Path) -> None:
    augmentation = build_augmentation([AugmentationStep(name="resize")], 20, (0.5,) * 3, "detection", training=False)
    data = ImageList("val", tmp_path, PackedStrings(["gone.png"]), ClassTargets([0]), ("cat",))
    assert EvaluatedImages(data, [0], augmentation).original(0, boxes((0, 0, 1, 1))) is None
    assert EvaluatedImages(data, [0], None).original(0, boxes((0, 0, 1, 1))) is None


def test_names_in_any_encoding_are_written(tmp_path: Path) -> None:
    name = b"caf\xe9.png".decode("utf-8", "surrogateescape")
    (row,) = box_rows(
        {"boxes": boxes(), "labels": torch.zeros(0, dtype=torch.int64), "scores": torch.zeros(0)},
        {"boxes": boxes((0, 0, 1, 1)), "labels": torch.tensor([0])}, ["猫"], 0.5, [], None,
    )  # fmt: skip
    assert row.label == "猫"
    assert read(write_predictions([(name, row)], tmp_path / "p.csv"))[0]["file"] == name
