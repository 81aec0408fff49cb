from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from mitorch_service.errors import InvalidInput
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.loop.best_epoch import Selection
from mitorch_service.training.loop.engine import train
from tests.samples import CONFIG
from tests.unit.training.recorder import Recorder


def selection(objective: str = "val_loss", **early: Any) -> Selection:
    return Selection(TrainingConfig.model_validate({**CONFIG, "objective": objective, "early_stopping": early or None}))


def run(chosen: Selection, values: list[float]) -> list[bool]:
    return [chosen.epoch_ended(epoch, {chosen.objective: value}) for epoch, value in enumerate(values, start=1)]


def test_losses_are_better_when_lower_and_accuracies_when_higher() -> None:
    assert run(selection(), [2.0, 1.0, 1.0, 3.0]) == [True, True, False, False]
    highest = selection("top1_accuracy")
    assert run(highest, [0.2, 0.1, math.nan, 0.3]) == [True, False, False, True]
    assert (highest.best, highest.epoch) == (0.3, 4)


def test_it_is_over_after_so_many_epochs_in_a_row() -> None:
    chosen = selection(max_plateau_count=2)
    over = []
    for epoch, value in enumerate([3.0, 4.0, 2.0, 2.0, 2.5], start=1):
        chosen.epoch_ended(epoch, {"val_loss": value})
        over.append(chosen.is_over())
    assert over == [False, False, False, False, True]


def test_a_small_gain_counts_as_none_but_is_the_best() -> None:
    chosen = selection(max_plateau_count=1, min_delta=0.5)
    run(chosen, [3.0, 2.9])
    assert chosen.is_over()
    assert chosen.best == 2.9


def test_the_best_weights_are_kept_with_their_evaluation(colors: tuple[ImageList, ImageList]) -> None:
    """The rate is so low at the start, and so high then, that the first epoch stays the best."""
    values: dict[str, Any] = {
        "model": {"name": "test_resnet", "input_size": 16},
        "optimizer": {"name": "sgd", "momentum": 0},
        "lr_scheduler": {"name": "constant", "base_lr": 2, "warmup": "constant", "warmup_factor": 1e-5},
        "augmentation": {"train": "resize", "val": "resize"},
        "batch_size": 8,
        "max_epochs": 9,
        "keep_weights": "best",
        "early_stopping": {"max_plateau_count": 2},
    }
    recorder = Recorder()
    outcome = train(TrainingConfig.model_validate(values), *colors, reporter=recorder)
    assert outcome.epochs == 3
    assert outcome.evaluation["val_loss"] == recorder.results[0].val_loss
    assert recorder.notes == ["Stopped early after epoch 3: val_loss was best in epoch 1."]


def test_a_last_epoch_that_is_not_the_best_is_told() -> None:
    chosen = selection("top1_accuracy")
    run(chosen, [0.25, 0.75, 0.5])
    last = {"top1_accuracy": 0.5}
    assert chosen.remark(3, last, kept=False) == (
        "Epoch 2 of 3 was the best (top1_accuracy 0.75, in the last 0.5). The weights are those of the last: "
        'set "keep_weights" to "best" to keep the best.'
    )
    assert chosen.remark(3, last, kept=True) == (
        "The weights are those of epoch 2, the best of 3 (top1_accuracy 0.75, in the last 0.5)."
    )
    run(chosen, [0.75])
    assert chosen.remark(4, {"top1_accuracy": 0.75}, kept=False) == ""
    assert selection().remark(3, {}, kept=False) == ""


def test_a_training_says_that_its_last_epoch_is_not_the_best(colors: tuple[ImageList, ImageList]) -> None:
    values: dict[str, Any] = {
        "model": {"name": "test_resnet", "input_size": 16},
        "optimizer": {"name": "sgd", "momentum": 0},
        "lr_scheduler": {"name": "constant", "base_lr": 2, "warmup": "constant", "warmup_factor": 1e-5},
        "augmentation": {"train": "resize", "val": "resize"},
        "batch_size": 8,
        "max_epochs": 2,
    }
    recorder = Recorder()
    train(TrainingConfig.model_validate(values), *colors, reporter=recorder)
    assert recorder.notes[0].startswith("Epoch 1 of 2 was the best (val_loss ")


@pytest.mark.parametrize("classes", [3, 6])
def test_an_objective_that_is_always_1_is_refused(classes: int, colors: tuple[ImageList, ImageList]) -> None:
    names = ("red", "lime", "blue", "d", "e", "f")[:classes]
    lists = [replace(one, classes=names) for one in colors]
    values = {**CONFIG, "model": {"name": "test_resnet", "input_size": 16}, "objective": "top5_accuracy"}
    given = TrainingConfig.model_validate(values)
    if classes == 6:
        outcome = train(given, *lists, fast_dev_run=True)
        assert "top5_accuracy" in outcome.evaluation
        return
    with pytest.raises(InvalidInput, match="objective: top5_accuracy of 3 classes is always 1"):
        train(given, *lists, fast_dev_run=True)


def test_an_objective_that_is_never_a_number_is_told() -> None:
    chosen = selection("top1_accuracy", max_plateau_count=2)
    run(chosen, [math.nan, math.nan])
    assert chosen.is_over()
    assert str(chosen).startswith("top1_accuracy was not a number in any epoch")
    run(chosen, [0.5])
    assert str(chosen) == "top1_accuracy was best in epoch 1"
