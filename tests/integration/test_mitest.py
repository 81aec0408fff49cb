"""mitest's pictures, and mitrain's list of models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from mitorch_service.cli import test as mitest
from mitorch_service.cli import train as mitrain
from mitorch_service.models.config import ModelConfig
from mitorch_service.training.network import build_detection_network
from mitorch_service.training.weights import save_weights
from tests.unit.training.shapes import SHAPES, draw_shapes, write_detection

MODEL = {"name": "test_resnet-ssdlite", "input_size": 64}
CONFIG = {
    "model": MODEL,
    "lr_scheduler": {"name": "cosine", "base_lr": 0.01},
    "augmentation": {"train": "resize", "val": "resize"},
    "max_epochs": 1,
    "task_type": "object_detection",
}


def test_evaluates_a_detector_by_class_and_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_detection(tmp_path, draw_shapes(6))
    Path("c.json").write_text(json.dumps(CONFIG))
    torch.manual_seed(0)
    module = build_detection_network(ModelConfig.model_validate(MODEL), len(SHAPES)).module
    save_weights(module.state_dict(), Path("m.pth"))
    done = CliRunner().invoke(mitest.command, ["c.json", "train.txt", "-w", "m.pth", "--plots", "plots"])
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[0].startswith("val_loss ")
    assert any(line.startswith("mAP_50 ") for line in lines)
    table = lines[lines.index("# classes") + 1 :]
    assert table[0].split() == ["CLASS", "BOXES", "MAP", "MAP_50", "PRECISION", "RECALL", "F1"]
    assert [line.split()[0] for line in table[1:4]] == list(SHAPES)
    assert {path.name for path in Path("plots").iterdir()} == {
        "confusion_matrix.png",
        "per_class.csv",
        "precision_recall.png",
        "worst_mistakes.png",
    }


def test_models_are_listed_without_a_config() -> None:
    done = CliRunner().invoke(mitrain.command, ["--list-models", "resnet18*fcos"])
    assert (done.exit_code, done.output) == (0, "resnet18-fpn-fcos\n")
    none = CliRunner().invoke(mitrain.command, ["--list-models", "qqq"])
    assert none.exit_code == 1
    assert "No model is called like 'qqq'." in none.output
