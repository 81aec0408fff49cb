"""Charts of classes with any name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from mitorch_service.training.plots.confusion import draw_confusion
from mitorch_service.training.plots.precision_recall import draw_precision_recall
from mitorch_service.training.plots.sheet import DrawnBox, Picture, draw_sheet


@pytest.mark.parametrize("name", [r"$\5 to $10", "猫", "_background_", "a_b^{"])
def test_any_name_can_be_drawn(tmp_path: Path, name: str) -> None:
    """A formula would be an error that ends the training after its last epoch."""
    draw_confusion(np.eye(2, dtype=np.int64), [name, "b"], name, tmp_path / "confusion.png")
    draw_precision_recall([(name, 0.5, [0.0, 1.0], [1.0, 0.5])], "curves", name, tmp_path / "curves.png")
    box = DrawnBox((0, 0, 4, 4), name, true=True)
    draw_sheet([(np.zeros((8, 8, 3), np.uint8), 1.0, Picture(name, [box]))], name, tmp_path / "sheet.png")
    assert len(list(tmp_path.iterdir())) == 3


def test_every_curve_is_in_the_legend(tmp_path: Path) -> None:
    curve = (0.5, [0.0, 1.0], [1.0, 0.5])
    drawn = [draw_precision_recall([(name, *curve)], "", "", tmp_path / f"{name}.png") for name in ("_a", "xa")]
    beside = [imread(path)[:, 750:, :3] for path in drawn]
    dark = [int((one.max(axis=2) < 0.5).sum()) for one in beside]
    assert dark[0] == pytest.approx(dark[1], rel=0.2)  # one of the two is all but white otherwise


def test_a_validation_without_boxes_has_no_curve(tmp_path: Path) -> None:
    assert draw_precision_recall([], "curves", "val.txt", tmp_path / "curves.png").exists()
