"""A training by steps: its length, its results, its learning rate, and that it goes on where it was killed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.models.config.validation import check
from mitorch_service.training.data.formats.registry import read_image_list
from mitorch_service.training.loop.checkpoints.checkpoint import Checkpoints
from mitorch_service.training.loop.engine import TrainingOutcome, train
from mitorch_service.training.loop.epoch_progress import EpochProgress
from mitorch_service.training.loop.length import Length
from tests.unit.training.loop.interrupted import CLOCK, Lists, config
from tests.unit.training.recorder import Killed, Recorder
from tests.unit.training.shapes import draw_shapes, write_detection


def by_steps(steps: int, every: int | None = None, **fields: Any) -> TrainingConfig:
    whole = config().model_dump(exclude={"max_epochs"}, exclude_unset=True)
    length = {"max_steps": steps} | ({} if every is None else {"eval_every": every})
    return TrainingConfig.model_validate({**whole, **length, **fields})


def run(lists: Lists, given: TrainingConfig) -> tuple[TrainingOutcome, Recorder]:
    recorder = Recorder()
    return train(given, *lists, reporter=recorder), recorder


def test_a_training_of_whole_passes_by_steps_is_one_by_epochs(multiclass: Lists) -> None:
    """24 images in batches of 8: a pass has 3 steps."""
    outcome, recorder = run(multiclass, by_steps(6))
    by_epochs, expected = run(multiclass, config(max_epochs=2))
    assert recorder.losses == expected.losses
    assert recorder.curve() == expected.curve()
    assert all(torch.equal(one, by_epochs.state_dict[name]) for name, one in outcome.state_dict.items())
    assert [result.step for result in recorder.results] == [3, 6]
    assert [result.step for result in expected.results] == [None, None]


def test_results_come_every_so_many_steps_and_the_data_goes_on_behind_them(multiclass: Lists) -> None:
    outcome, recorder = run(multiclass, by_steps(7, 2, lr_scheduler={"name": "cosine", "base_lr": 0.01}))
    (plan,) = recorder.plans
    assert (plan.epochs, plan.steps_per_epoch, plan.max_steps) == (4, 2, 7)
    assert recorder.steps == [(1, 1, 2), (1, 2, 2), (2, 1, 2), (2, 2, 2), (3, 1, 2), (3, 2, 2), (4, 1, 1)]
    assert [(result.epoch, result.step) for result in recorder.results] == [(1, 2), (2, 4), (3, 6), (4, 7)]
    rates = [0.01 * 0.5 * (1 + math.cos(math.pi * step / 7)) for step in (1, 3, 5, 6)]
    assert [result.learning_rate for result in recorder.results] == pytest.approx(rates)
    assert outcome.epochs == 4


def test_one_that_was_killed_at_a_step_gives_the_same_curve(multiclass: Lists, tmp_path: Path) -> None:
    """An epoch of 4 steps begins in one pass over the images and ends in the next, which a process loads."""
    given = by_steps(7, 4, checkpoint={"minutes": 1e-9}, num_workers=1)
    expected, whole = run(multiclass, given)
    with pytest.raises(Killed), Checkpoints(FolderArtifactStore(tmp_path / "a"), "cut/") as checkpoints:
        train(given, *multiclass, reporter=Recorder(kill_at=(2, 1)), checkpoints=checkpoints)
    second = Recorder()
    with Checkpoints(FolderArtifactStore(tmp_path / "a"), "cut/") as checkpoints:
        outcome = train(given, *multiclass, reporter=second, checkpoints=checkpoints)
    assert 0 < len(second.losses) < len(whole.losses)
    assert second.losses == whole.losses[-len(second.losses) :]
    history = [[one.model_dump(exclude=CLOCK) for one in done.history] for done in (outcome, expected)]
    assert history[0] == history[1]
    assert all(torch.equal(one, expected.state_dict[name]) for name, one in outcome.state_dict.items())


def test_the_loss_of_each_stage_adds_up_to_the_whole(tmp_path: Path) -> None:
    drawn = read_image_list(write_detection(tmp_path, draw_shapes(2)))
    detection: dict[str, Any] = {
        "task_type": "object_detection",
        "model": {
            "name": "test_resnet-fpn-fasterrcnn",
            "input_size": 64,
            "options": {"box_batch_size_per_image": 8, "rpn_post_nms_top_n_train": 20, "rpn_post_nms_top_n_test": 20},
        },
        "augmentation": {"train": "resize", "val": "resize"},
        "batch_size": 2,
    }
    outcome, _ = run((drawn, drawn), by_steps(1, **detection))
    (result,) = outcome.history
    assert result.losses.keys() == {"classifier", "box_reg", "objectness", "rpn_box_reg"}
    assert sum(result.losses.values()) == pytest.approx(result.train_loss)
    assert result.part_losses().keys() == {f"loss_{name}" for name in result.losses}


def test_the_parts_of_a_loss_are_means_over_images_of_all_processes_and_survive_an_interruption() -> None:
    cpu = torch.device("cpu")
    whole, cut, resumed = (EpochProgress(1, cpu) for _ in range(3))
    steps = [(0, 3.0, 2, {"a": 1.0, "b": 2.0}), (1, 6.0, 1, {"a": 4.0, "b": 2.0})]
    for number, loss, samples, parts in steps:
        tensors = {name: torch.tensor(value) for name, value in parts.items()}
        for progress in (whole, cut if number == 0 else resumed):
            progress.add(number, torch.tensor(loss), samples, 0.1, None, tensors)
        if number == 0:
            resumed.load_state_dict(cut.state_dict())
    assert whole.result().losses == resumed.result().losses == {"a": 2.0, "b": 2.0}
    whole.set_sums([whole.sums(), whole.sums()])
    assert whole.result().losses == {"a": 2.0, "b": 2.0}
    assert "losses" not in EpochProgress(1, cpu).result(train_loss=0.5).to_document()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"max_steps": 10, "max_epochs": 3}, "max_steps and max_epochs both say how long"),
        ({"eval_every": 10}, "eval_every belongs to max_steps"),
        ({"max_steps": 0}, "must be 1 or more"),
        ({"max_steps": 10, "swa": {}}, "say by eval_every"),
    ],
)
def test_a_length_that_contradicts_itself_is_refused(given: dict[str, Any], told: str) -> None:
    model, problems = check(TrainingConfig, {"model": "resnet18", **given})
    assert model is None
    assert told in str(problems)


def test_the_last_batch_of_a_pass_counts_as_many_images_as_it_has() -> None:
    length = Length.of(by_steps(9, 4), 3, 20)
    assert [length.batch(step) for step in range(6)] == [8, 8, 4, 8, 8, 4]
    assert [length.steps_of(epoch) for epoch in range(3)] == [4, 4, 1]
