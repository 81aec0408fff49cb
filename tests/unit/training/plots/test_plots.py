"""Charts of classes with any name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from mitorch_service.training.data.image_list import ImageList, PackedStrings
from mitorch_service.training.data.targets import ClassTargets
from mitorch_service.training.plots.canvas import shorten
from mitorch_service.training.plots.confusion import draw_confusion
from mitorch_service.training.plots.precision_recall import draw_precision_recall
from mitorch_service.training.plots.sheet import DrawnBox, Picture, draw_sheet
from mitorch_service.training.plots.table import write_table
from mitorch_service.training.tasks.evaluated_images import EvaluatedImages
from mitorch_service.training.tasks.worst_mistakes import WorstMistakes


@pytest.mark.parametrize("name", [r"$\5 to $10", "猫", "_background_", "a_b^{", "caf\udce9", "a\nb\x1b[31m"])
def test_any_name_can_be_drawn(tmp_path: Path, name: str) -> None:
    """A formula would be an error that ends the training after its last epoch."""
    evaluated = EvaluatedImages(ImageList(name, Path(), PackedStrings([name]), ClassTargets([0]), (name,)), [0])
    kept = WorstMistakes((0.0,) * 3, (1.0,) * 3)
    kept.add(torch.zeros(1, 3, 8, 8), torch.ones(1))
    kept.draw(tmp_path, lambda _: Picture(shorten(name)), evaluated)
    assert write_table({name: {"f1": 0.5}}, tmp_path / "table.csv").exists()
    draw_confusion(np.eye(2, dtype=np.int64), [name, "b"], name, tmp_path / "confusion.png")
    draw_precision_recall([(name, 0.5, [0.0, 1.0], [1.0, 0.5])], "curves", name, tmp_path / "curves.png")
    box = DrawnBox((0, 0, 4, 4), name, true=True)
    draw_sheet([(np.zeros((8, 8, 3), np.uint8), 1.0, Picture(name, [box]))], name, tmp_path / "sheet.png")
    assert len(list(tmp_path.iterdir())) == 5


def test_every_curve_is_in_the_legend(tmp_path: Path) -> None:
    curve = (0.5, [0.0, 1.0], [1.0, 0.5])
    drawn = [draw_precision_recall([(name, *curve)], "", "", tmp_path / f"{name}.png") for name in ("_a", "xa")]
    beside = [imread(path)[:, 750:, :3] for path in drawn]
    dark = [int((one.max(axis=2) < 0.5).sum()) for one in beside]
    assert dark[0] == pytest.approx(dark[1], rel=0.2)  # one of the two is all but white otherwise


def test_a_validation_without_boxes_has_no_curve(tmp_path: Path) -> None:
    assert draw_precision_recall([], "curves", "val.txt", tmp_path / "curves.png").exists()
