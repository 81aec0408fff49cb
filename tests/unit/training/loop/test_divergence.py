"""Divergence: a loss that is no longer finite."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.errors import TrainingDiverged
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.loop.checkpoints.checkpoint import Checkpoints
from mitorch_service.training.loop.engine import train
from tests.unit.training.recorder import Killed, Recorder

Lists = tuple[ImageList, ImageList]


def config(base_lr: float, **fields: Any) -> TrainingConfig:
    values: dict[str, Any] = {
        "model": {"name": "test_vit", "input_size": 16},
        "optimizer": {"name": "sgd", "momentum": 0.0},
        "lr_scheduler": {"name": "multistep", "base_lr": base_lr, "milestones": [99]},
        "augmentation": {"train": "resize", "val": "resize"},
        "batch_size": 8,
        "max_epochs": 8,
    }
    return TrainingConfig.model_validate(values | fields)


def test_the_error_tells_where_and_how(colors: Lists) -> None:
    recorder = Recorder()
    with pytest.raises(TrainingDiverged) as caught:
        train(config(100.0, optimizer={"momentum": 0.99}), *colors, reporter=recorder)
    error = caught.value
    assert (error.epoch, error.learning_rate) == (recorder.results[-1].epoch, 100)
    assert error.gradient_norm is not None
    assert error.last_losses
    assert all(math.isfinite(loss) for loss in error.last_losses)
    assert "gradient norm" in str(error)
    assert "losses before it" in str(error)


def test_the_norm_of_clipped_gradients_is_that_before_clipping(colors: Lists) -> None:
    with pytest.raises(TrainingDiverged) as caught:
        train(config(100.0, optimizer={"weight_decay": 1e30}, gradient={"clip_norm": 1e-3}), *colors)
    assert caught.value.gradient_norm is not None
    assert not caught.value.gradient_norm < 1e-3


def test_a_lower_rate_goes_on_from_the_last_good_state(colors: Lists) -> None:
    """The second epoch begins a rate at which the loss explodes; a tenth of a tenth of it does not."""
    recorder = Recorder()
    explosive = {"name": "constant", "base_lr": 20, "warmup": "constant", "warmup_epochs": 1, "warmup_factor": 1e-6}
    network = {"name": "test_resnet", "input_size": 16}
    given = config(20, lr_scheduler=explosive, max_epochs=3, on_divergence="lower_lr", model=network)
    outcome = train(given, *colors, reporter=recorder)
    notes = [note for note in recorder.notes if "of the learning rate" in note]
    assert 1 <= len(notes) <= 2
    assert notes[0].endswith("Resuming from epoch 2 with 0.1 of the learning rate.")
    assert [result.epoch for result in outcome.history] == [1, 2, 3]
    assert [result.note for result in outcome.history] == [None, notes[-1], None]
    assert outcome.history[1].learning_rate == pytest.approx(20 * 0.1 ** len(notes))
    assert outcome.evaluation["val_loss"] == recorder.results[-1].val_loss


def test_at_most_twice(colors: Lists) -> None:
    recorder = Recorder()
    with pytest.raises(TrainingDiverged):
        train(config(100.0, optimizer={"weight_decay": 1e30}, on_divergence="lower_lr"), *colors, reporter=recorder)
    assert sum("of the learning rate" in note for note in recorder.notes) == 2
    assert len(recorder.results) == 1


def test_a_training_that_was_killed_goes_back_to_the_same_state(tmp_path: Path, colors: Lists) -> None:
    """The retry does not begin with the momentum that the steps after the resumption have built up."""
    explosive = {"name": "constant", "base_lr": 20, "warmup": "constant", "warmup_epochs": 2, "warmup_factor": 1e-6}
    sgd = {"momentum": 0.9, "weight_decay": 3}
    given = config(20, lr_scheduler=explosive, optimizer=sgd, batch_size=2, max_epochs=3, on_divergence="lower_lr")

    def run(name: str, recorder: Recorder) -> Recorder:
        with Checkpoints(FolderArtifactStore(tmp_path), f"{name}/") as checkpoints:
            train(given, *colors, reporter=recorder, checkpoints=checkpoints)
        return recorder

    whole = run("whole", Recorder())
    with pytest.raises(Killed):
        run("cut", Recorder(kill_at=(3, 1)))
    cut = run("cut", Recorder())
    assert any("of the learning rate" in note for note in whole.notes)
    assert cut.notes == ["Resuming from a checkpoint: epoch 3, step 1.", *whole.notes]
    assert cut.curve() == whole.curve()[2:]
