"""A training that pauses on its way gives, gone on with, the curve that it would have given; one that goes on from
another's state begins where that one was, with settings of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from mitorch_service.artifacts.checkpoint_keys import delete_checkpoint_files
from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.errors import ArtifactError
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.training.loop.checkpoints.checkpoint import Checkpoints, read_shared
from mitorch_service.training.loop.engine import TrainingOutcome, train
from mitorch_service.training.loop.segment import Segment
from tests.unit.training.loop.interrupted import CLOCK, Lists, config
from tests.unit.training.recorder import Recorder

RARELY = {"checkpoint": {"epochs": 100}}


class Trainer:
    """Trains legs on the same data, each as another process would."""

    def __init__(self, folder: Path, lists: Lists) -> None:
        self.artifacts, self._lists = FolderArtifactStore(folder), lists

    def train(
        self, given: TrainingConfig, segment: Segment, name: str, take_over: tuple[str, int] | None = None
    ) -> Any:
        recorder = Recorder()
        torch.rand(7)
        with Checkpoints(self.artifacts, f"{name}/") as checkpoints:
            if take_over is not None:
                checkpoints.inherit(read_shared(self.artifacts, *take_over))
            return train(given, *self._lists, reporter=recorder, checkpoints=checkpoints, segment=segment), recorder


def curve(outcome: TrainingOutcome) -> list[dict[str, Any]]:
    """All that does not depend on the time it took."""
    return [result.model_dump(exclude=CLOCK) for result in outcome.history]


@pytest.mark.parametrize("fields", [{}, {"optimizer": {"name": "adamw"}, "ema": {"decay": 0.9}}])
def test_parts_give_the_whole_to_the_last_bit(tmp_path: Path, multiclass: Lists, fields: dict[str, Any]) -> None:
    trainer, given = Trainer(tmp_path / "artifacts", multiclass), config(**fields, **RARELY)
    whole, _ = trainer.train(given, Segment(), "whole")
    for pause_at in (1, 2):
        part, recorder = trainer.train(given, Segment(pause_at=pause_at), "parts")
        assert (part.paused, part.stopped, part.epochs) == (True, False, pause_at)
        assert [result.epoch for result in recorder.results] == [pause_at]
        assert curve(part) == curve(whole)[:pause_at]
        assert part.evaluation["val_loss"] == whole.history[pause_at - 1].val_loss
        again, recorder = trainer.train(
            given, Segment(pause_at=pause_at), "parts"
        )  # one that died before it could say so
        assert (again.paused, recorder.steps) == (True, [])
    last, _ = trainer.train(given, Segment(), "parts")
    assert not last.paused
    assert curve(last) == curve(whole)
    assert all(torch.equal(tensor, whole.state_dict[name]) for name, tensor in last.state_dict.items())


def test_a_pause_behind_the_end_is_none(tmp_path: Path, multiclass: Lists) -> None:
    outcome, _ = Trainer(tmp_path / "artifacts", multiclass).train(config(), Segment(pause_at=3), "whole")
    assert (outcome.paused, outcome.epochs) == (False, 3)


def test_another_states_weights_and_moments_go_on_with_the_own_settings(tmp_path: Path, multiclass: Lists) -> None:
    trainer = Trainer(tmp_path / "artifacts", multiclass)
    given = config(optimizer={"name": "sgd", "momentum": 0.9, "weight_decay": 1e-4})
    other = config(optimizer={"name": "sgd", "momentum": 0.5, "weight_decay": 1e-2}, lr_scheduler=_rate(1e-4))
    trainer.train(given, Segment(pause_at=2, shared=True), "parent")
    parent, _ = trainer.train(given, Segment(), "parent")
    trainer.train(other, Segment(pause_at=2, shared=True), "child")
    same, recorder = trainer.train(given, Segment(origin="parent@2"), "same", ("parent", 2))
    assert recorder.notes == ["Resuming from a checkpoint of parent@2: epoch 3, step 1."]
    assert curve(same) == curve(parent)  # with its settings it does what the parent did
    child, recorder = trainer.train(other, Segment(origin="parent@2", shared=True), "child", ("parent", 2))
    assert curve(child)[:2] == curve(parent)[:2]
    first, parents = recorder.results[0], curve(parent)[2]
    assert recorder.losses[0] == _first_loss(trainer, given)  # the parent's weights, before they move
    assert first.train_loss != parents["train_loss"]
    assert first.learning_rate < parents["learning_rate"]
    state = Checkpoints(trainer.artifacts, "child/").latest()
    assert state is not None
    group = state["learner"]["optimizer"]["param_groups"][0]
    assert (group["momentum"], group["weight_decay"], state["origin"]) == (0.5, 1e-2, "parent@2")


def test_what_others_may_take_over_is_kept_for_two_pauses(tmp_path: Path, multiclass: Lists) -> None:
    trainer, given = Trainer(tmp_path / "artifacts", multiclass), config(max_epochs=4)
    for pause_at in (1, 2, 3):
        trainer.train(given, Segment(pause_at=pause_at, shared=True), "id")
    trainer.train(given, Segment(shared=True), "id")
    shared = [key for key in trainer.artifacts.keys("id/") if "shared" in key]
    assert shared == [f"id/shared-{epoch:06d}/state.pt" for epoch in (2, 3)]
    delete_checkpoint_files(trainer.artifacts, "id", shared=False)
    assert trainer.artifacts.keys("id/") == shared
    (tmp_path / "artifacts" / shared[0]).write_bytes(b"damaged")
    for epoch in (1, 2):
        with pytest.raises(ArtifactError):
            read_shared(trainer.artifacts, "id", epoch)
    delete_checkpoint_files(trainer.artifacts, "id", shared=True)
    assert trainer.artifacts.keys("id/") == []


def _rate(rate: float) -> dict[str, Any]:
    return {"name": "cosine", "base_lr": rate, "warmup": "linear"}


def _first_loss(trainer: Trainer, given: TrainingConfig) -> float:
    _, recorder = trainer.train(given, Segment(origin="parent@2"), "probe", ("parent", 2))
    loss: float = recorder.losses[0]
    return loss
