"""Precision, recall and F1 by threshold: the file in obdb's form, the best threshold, and cases counted by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from mitorch_service.training.tasks.box_grid import box_grid
from mitorch_service.training.tasks.grid_files import class_metrics, write_grid
from mitorch_service.training.tasks.threshold_grid import CONFIDENCES, ThresholdGrid, count_by_confidence

BOX, MOVED = (0.0, 0.0, 10.0, 10.0), (0.0, 0.0, 10.0, 6.5)  # with an IoU of 0.65


def boxes(*found: tuple[int, tuple[float, ...], float]) -> dict[str, torch.Tensor]:
    return {
        "labels": torch.tensor([label for label, _, _ in found], dtype=torch.int64),
        "boxes": torch.tensor([box for _, box, _ in found]).view(-1, 4),
        "scores": torch.tensor([score for *_, score in found]),
    }


def grid_of_two_images() -> ThresholdGrid:
    """A weed found twice, one found roughly, one missed, and one where there is none."""
    found = [boxes((0, BOX, 0.9), (0, MOVED, 0.8)), boxes((1, MOVED, 0.7), (0, BOX, 0.25))]
    true = [boxes((0, BOX, 1.0)), boxes((1, BOX, 1.0))]
    return box_grid(found, true, 3)


def test_a_true_box_is_found_once() -> None:
    """obdb's own code counted it once for each detection of it, which gave a negative number of wrong ones."""
    entry = class_metrics(grid_of_two_images(), ["fat hen", "thistle", "rape"])["fat hen"]
    found = {name: [entry[name][one]["0.5"] for one in ("0.2", "0.5", "0.85", "0.95")] for name in ("TP", "FP", "FN")}  # type: ignore[index]
    assert found == {"TP": [1, 1, 1, 0], "FP": [2, 1, 0, 0], "FN": [0, 0, 0, 1]}
    rates = [entry[name]["0.5"]["0.5"] for name in ("precision", "recall", "f1")]  # type: ignore[index]
    assert rates == pytest.approx([1 / 2, 1, 2 / 3])


def test_the_form_of_the_file_is_that_of_obdb(tmp_path: Path) -> None:
    names = ["fat hen", "thistle", "rape"]
    files = write_grid(grid_of_two_images(), names, "val", tmp_path)
    assert [file.name for file in files] == ["class_metrics.json", "thresholds.png"]
    written = json.loads(files[0].read_text())
    assert list(written) == [*names, "(all)"]
    for name in ("TP", "FP", "FN", "precision", "recall", "f1"):  # as its make_graphs reads them
        by_confidence = written["thistle"][name]
        assert list(by_confidence)[::9] == ["0.05", "0.5", "0.95"]
        assert set(by_confidence) > {"0.5", "0.6", "0.7", "0.8", "0.9"}
        assert all(list(row) == ["0.5", "0.6", "0.7", "0.8", "0.9"] for row in by_confidence.values())
    assert list(written["thistle"]["f1"]["0.6"].values()) == [1, 1, 0, 0, 0]
    assert written["(all)"]["TP"]["0.5"] == {"0.5": 2, "0.6": 2, "0.7": 1, "0.8": 1, "0.9": 1}
    assert set(written["rape"]["f1"]["0.5"].values()) == {0}  # neither true nor found
    assert list(class_metrics(grid_of_two_images(), ["(all)", "a", "b"])) == ["(all)", "a", "b", "((all))"]


def test_a_classification_has_confidences_only() -> None:
    scores, right = torch.tensor([0.9, 0.4]), torch.tensor([[True, False]])
    grid = count_by_confidence(torch.tensor([0, 0]), scores, right, torch.tensor([2]))
    entry = class_metrics(grid, ["a"])["a"]
    assert [entry["precision"][one] for one in ("0.4", "0.5", "0.95")] == [0.5, 1, 0]
    assert [entry["FN"][one] for one in ("0.4", "0.5", "0.95")] == [1, 1, 2]


def test_the_best_threshold_is_in_the_middle_of_those_that_are_as_good() -> None:
    scores, right = torch.tensor([0.9, 0.8, 0.3]), torch.tensor([[True, True, False]])
    grid = count_by_confidence(torch.tensor([0, 0, 0]), scores, right, torch.tensor([2]))
    assert grid.best() == (1.0, 0.56)  # 0.31 to 0.8
    nothing = torch.zeros(0)
    assert count_by_confidence(nothing.long(), nothing, nothing.bool()[None], torch.tensor([2])).best() == (0.0, 0.5)


def test_a_score_on_a_threshold_counts() -> None:
    """In float32, as a detector's scores are, 0.7 is less than in float64."""
    for dtype in (torch.float32, torch.float64):
        scores = torch.tensor(CONFIDENCES, dtype=dtype)
        grid = count_by_confidence(torch.zeros(99).long(), scores, torch.ones(1, 99).bool(), torch.tensor([99]))
        assert grid.taken[0].tolist() == list(range(99, 0, -1))
    above = count_by_confidence(
        torch.zeros(1).long(), torch.tensor([0.5]), torch.ones(1, 1).bool(), torch.tensor([1]), above=True
    )
    assert above.taken[0].tolist() == [1] * 49 + [0] * 50  # as a multilabel evaluation counts
