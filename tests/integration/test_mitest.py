"""mitest's pictures, and mitrain's list of models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from mitorch_service.cli import test as mitest
from mitorch_service.cli import train as mitrain
from mitorch_service.models.config.training_config import ModelConfig, metrics_for
from mitorch_service.training.networks.network import build_detection_network, build_network
from mitorch_service.training.networks.weights import save_weights
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
    assert "0 is disc, 1 is square, 2 is triangle" in done.stderr  # the weights do not name their classes
    lines = done.stdout.splitlines()
    assert lines[0].startswith("test_loss ")
    assert any(line.startswith("test_mAP_50 ") for line in lines)
    table = lines[lines.index("# classes") + 1 :]
    assert table[0].split() == ["CLASS", "BOXES", "MAP", "MAP_50", "PRECISION", "RECALL", "F1"]
    assert [line.split()[0] for line in table[1:4]] == list(SHAPES)
    assert {path.name for path in Path("plots").iterdir()} == {
        "class_metrics.json",
        "confusion_matrix.png",
        "image_confusion_matrix.csv",
        "image_confusion_matrix.png",
        "per_class.csv",
        "precision_recall.png",
        "predictions.csv",
        "thresholds.png",
        "worst_mistakes.png",
    }


def test_a_folder_of_folders_gets_the_classes_of_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for place, shade in (("train/blue", 0), ("train/green", 1), ("train/red", 2), ("val/green", 3), ("val/red", 4)):
        Path(place).mkdir(parents=True)
        Image.new("RGB", (16, 16), (shade, shade, shade)).save(Path(place, "1.png"))
    model = {"name": "test_resnet", "input_size": 16}
    Path("c.json").write_text(json.dumps({**CONFIG, "task_type": "multiclass_classification", "model": model}))
    torch.manual_seed(0)
    save_weights(build_network(ModelConfig.model_validate(model), 3).module.state_dict(), Path("m.pth"))
    alone = CliRunner().invoke(mitest.command, ["c.json", "val", "-w", "m.pth"])
    assert "are not those of this config and data set" in str(alone.exception)
    done = CliRunner().invoke(mitest.command, ["c.json", "val", "-w", "m.pth", "--train", "train", "--json"])
    assert done.exit_code == 0, done.exception
    assert set(json.loads(done.stdout)) == {
        "test_loss",
        *(f"test_{name}" for name in metrics_for("multiclass_classification", 3)),
    }
    original = CliRunner().invoke(mitest.command, ["c.json", "train", "val", "-w", "m.pth", "-d", "--json"])
    assert (original.exit_code, json.loads(original.stdout)) == (0, json.loads(done.stdout))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "val", "--train", "train"], "TRAIN is given twice, as 'train' and by --train: leave out one"),
        (["train", "val", "test"], "mitest takes CONFIG, TRAIN and DATA: 'test' is one too many"),
    ],
)
def test_data_sets_that_are_too_many_are_named(arguments: list[str], message: str, tmp_path: Path) -> None:
    (config := tmp_path / "c.json").write_text("{}")
    done = CliRunner().invoke(mitest.command, [str(config), *arguments, "-w", str(config)])
    assert done.exit_code == 2
    assert message in done.output


def test_models_are_listed_without_a_config() -> None:
    done = CliRunner().invoke(mitrain.command, ["--list-models", "resnet18*fcos"])
    assert (done.exit_code, done.output) == (0, "resnet18-fpn-fcos\n")
    none = CliRunner().invoke(mitrain.command, ["--list-models", "qqq"])
    assert none.exit_code == 1
    assert "No model is called like 'qqq'." in none.output
