from __future__ import annotations

import pytest
import torch
from timm.utils.model_ema import ModelEmaV3
from torch import nn

from mitorch_service.errors import DataError
from mitorch_service.models.config.optimization import EmaConfig, SwaConfig
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.loop.engine import train
from mitorch_service.training.loop.evaluation import evaluate
from mitorch_service.training.optimization.averages import Ema, Swa, refresh_batch_norm
from tests.unit.training.recorder import Recorder


def weight(module: nn.Module | None) -> float:
    assert isinstance(module, nn.Linear)
    return module.weight.item()


def set_weight(module: nn.Linear, value: float) -> None:
    with torch.no_grad():
        module.weight.fill_(value)


def test_the_moving_average_is_what_the_formula_says() -> None:
    module = nn.Linear(1, 1)
    set_weight(module, 0.0)
    average = Ema(EmaConfig(decay=0.75, warmup=False), module)
    average.step_ended(module)
    set_weight(module, 8.0)
    average.step_ended(module)
    assert weight(average.module()) == pytest.approx(2.0)
    average.step_ended(module)
    assert weight(average.module()) == pytest.approx(3.5)


@pytest.mark.parametrize("warmup", [True, False])
def test_the_moving_average_is_that_of_timms_training_script(warmup: bool) -> None:
    """The script counts an update, then calls the average with that number; in step n the decay is 1 - n ** -2/3."""
    module = nn.Linear(1, 1)
    set_weight(module, 0.0)
    ours, theirs = Ema(EmaConfig(decay=0.9, warmup=warmup), module), ModelEmaV3(module, decay=0.9, use_warmup=warmup)
    expected = 0.0
    for step in range(1, 60):
        set_weight(module, float(step % 7))
        ours.step_ended(module)
        theirs.update(module, step=step)
        decay = min(0.9, 1 - step ** (-2 / 3)) if warmup else 0.9 * (step > 1)
        expected = decay * expected + (1 - decay) * (step % 7)
        assert weight(ours.module()) == pytest.approx(weight(theirs.module)) == pytest.approx(expected, rel=1e-5)


def test_the_mean_is_of_the_last_epochs() -> None:
    module = nn.Linear(1, 1)
    average = Swa(SwaConfig(start=0.5, base_lr=0.3), module, max_epochs=4)
    for epoch, value in enumerate((1.0, 10.0, 3.0, 5.0), start=1):
        set_weight(module, value)
        average.epoch_ended(module, epoch, lambda module: None)
        assert (average.module() is None) == (epoch < 3)
    assert weight(average.module()) == pytest.approx(4.0)
    assert [average.learning_rate(0.1, epoch) for epoch in range(4)] == [0.1, 0.1, 0.3, 0.3]


def test_statistics_are_those_of_the_batches_that_are_run() -> None:
    module = nn.BatchNorm1d(1)
    module.running_mean.fill_(99.0)  # type: ignore[union-attr]
    refresh_batch_norm(module, lambda one: [one(torch.tensor([[value], [value + 2]])) for value in (0.0, 4.0)])  # type: ignore[arg-type]
    assert module.running_mean is not None
    assert module.running_mean.item() == pytest.approx(3.0)
    assert (module.momentum, module.training) == (0.1, False)


@pytest.mark.parametrize("average", [{"ema": {"decay": 0.9}}, {"swa": {"start": 0.5}}])
def test_what_is_validated_is_what_is_saved(
    colors: tuple[ImageList, ImageList], tmp_path_factory: pytest.TempPathFactory, average: dict[str, object]
) -> None:
    path = tmp_path_factory.mktemp("weights") / "m.pth"
    values: dict[str, object] = {
        "model": {"name": "test_resnet", "input_size": 16},
        "lr_scheduler": {"name": "constant", "base_lr": 0.05},
        "augmentation": {"train": "resize", "val": "resize"},
        "batch_size": 8,
        "max_epochs": 3,
    }
    plain = train(TrainingConfig.model_validate(values), *colors)
    config = TrainingConfig.model_validate({**values, **average})
    recorder = Recorder()
    outcome = train(config, *colors, reporter=recorder)
    torch.save(outcome.state_dict, path)
    assert evaluate(config, colors[1], path) == pytest.approx(outcome.evaluation)
    assert outcome.evaluation["val_loss"] != plain.evaluation["val_loss"]
    assert recorder.results[0].train_loss == plain.history[0].train_loss  # the training itself is the same


def test_a_task_that_does_not_fit_the_data_is_told(colors: tuple[ImageList, ImageList]) -> None:
    values = {
        "model": {"name": "test_resnet", "input_size": 16},
        "lr_scheduler": {"name": "constant", "base_lr": 0.05},
        "max_epochs": 1,
        "task_type": "multilabel_classification",
    }
    with pytest.raises(
        DataError, match=r"is a multiclass set, but task_type multilabel_classification takes multilabel"
    ):
        train(TrainingConfig.model_validate(values), *colors)
