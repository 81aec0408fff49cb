"""Two processes with half of each batch learn what one does with the whole."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from mitorch_service.errors import InvalidInput
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.training.data.formats.registry import read_image_list
from mitorch_service.training.loop import engine
from mitorch_service.training.loop.local_processes import local_processes, wanted_processes
from tests.unit.training.pictures import COLORS, write_colors
from tests.unit.training.recorder import Recorder
from tests.warm.command import with_warm_code

# Without batch normalisation, whose statistics on the CPU are those of each process, and without dropout.
CONFIG: dict[str, Any] = {
    "model": {"name": "test_vit", "input_size": 16},
    "optimizer": {"name": "adamw"},
    "lr_scheduler": {"name": "cosine", "base_lr": 0.001},
    "augmentation": {"train": ["random_affine"], "val": "resize"},
    "batch_size": 8,
    "max_epochs": 2,
    "gradient": {"clip_norm": 1.0, "accumulate": 2},
    "ema": {"decay": 0.9},
}
COMPANION = """
import json, sys
from pathlib import Path
import torch
from mitorch_service.errors import InvalidInput
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.training.loop import engine
from mitorch_service.training.data.formats.registry import read_image_list
from tests.unit.training.recorder import Recorder
torch.set_num_threads(1)
folder, recorder = Path(sys.argv[1]), Recorder()
lists = [read_image_list(folder / name) for name in ("train.txt", "val.txt")]
outcome = engine.train(TrainingConfig.model_validate(json.loads(sys.argv[2])), *lists, reporter=recorder)
assert recorder.plans == recorder.results == []  # the first process reports
(folder / "companion.json").write_text(json.dumps(outcome.evaluation))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """21 training images: the last batch has 5, which two processes share unevenly."""
    write_colors(tmp_path, 21)
    write_colors(tmp_path, 9, "val")
    for name, value in with_warm_code({}).items():
        monkeypatch.setenv(name, value)
    return tmp_path


def train(
    folder: Path, processes: int, plots: Path | None = None, **fields: Any
) -> tuple[engine.TrainingOutcome, Recorder]:
    given, recorder = CONFIG | fields, Recorder()
    command = [sys.executable, "-c", COMPANION, str(folder), json.dumps(given)]
    lists = [read_image_list(folder / name) for name in ("train.txt", "val.txt")]
    with local_processes(processes, command):
        outcome = engine.train(TrainingConfig.model_validate(given), *lists, reporter=recorder, plots=plots)
    return outcome, recorder


def test_two_processes_give_the_losses_of_one(folder: Path) -> None:
    alone, told_alone = train(folder, 1)
    shared, told = train(folder, 2, folder / "plots")
    assert told.plans[0].device == "cpu and 1 more"
    assert len(told.results) == 2
    for one, other in zip(told.results, told_alone.results, strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, rel=1e-5)
        assert one.val_loss == pytest.approx(other.val_loss, rel=1e-5)
        assert one.metrics == pytest.approx(other.metrics, rel=1e-4)
    for name, tensor in alone.state_dict.items():
        assert tensor.numpy() == pytest.approx(shared.state_dict[name].numpy(), abs=1e-5)
    assert json.loads((folder / "companion.json").read_text()) == shared.evaluation
    with (folder / "plots" / "predictions.csv").open(newline="") as file:
        labels = [(row["file"], row["label"]) for row in csv.DictReader(file)]
    assert labels == [(f"val/{index}.png", COLORS[index % 3]) for index in range(9)]


def test_gpus_that_are_not_there_are_not_asked_for() -> None:
    assert wanted_processes(TrainingConfig.model_validate(CONFIG)) == 1
    assert wanted_processes(TrainingConfig.model_validate(CONFIG | {"resources": {"gpus": 1}})) == 1


def test_a_process_without_images_is_refused(folder: Path) -> None:
    with pytest.raises(InvalidInput, match="shared by 2 processes"):
        train(folder, 2, batch_size=1)
