from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from mitorch_service.errors import InvalidInput
from mitorch_service.models.config.optimization import GradientConfig, OptimizerConfig, PrecisionConfig
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.loop.engine import train
from mitorch_service.training.optimization.optimizer import build_optimizer
from mitorch_service.training.optimization.precision import Precision
from tests.samples import CONFIG
from tests.unit.training.recorder import Recorder

CPU = torch.device("cpu")


def test_the_cpu_computes_in_full_precision_unless_asked() -> None:
    assert Precision(PrecisionConfig(), CPU).name == "fp32"
    half = Precision(PrecisionConfig(name="bf16"), CPU)
    with half.autocast():
        assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == torch.bfloat16
    with pytest.raises(InvalidInput, match=r"precision\.name: fp16 is not supported on the CPU"):
        Precision(PrecisionConfig(name="fp16"), CPU)


def test_weights_stay_in_full_precision() -> None:
    precision = Precision(PrecisionConfig(name="bf16", channels_last=True), CPU)
    module = precision.place(nn.Conv2d(3, 4, 3))
    weight = next(module.parameters())
    assert weight.is_contiguous(memory_format=torch.channels_last)
    optimizer = build_optimizer(OptimizerConfig(), module, 0.1)
    with precision.autocast():
        loss = module(torch.ones(1, 3, 5, 5)).float().mean()
    before = weight.detach().clone()
    precision.backward(loss)
    assert precision.step(optimizer, GradientConfig(clip_norm=1.0)) is not None
    assert weight.dtype == torch.float32
    assert not torch.equal(before, weight)


def test_a_training_in_bf16_with_channels_last(colors: tuple[ImageList, ImageList]) -> None:
    recorder = Recorder()
    given = {**CONFIG, "precision": {"name": "bf16", "channels_last": True}, "max_epochs": 1, "batch_size": 8}
    outcome = train(TrainingConfig.model_validate(given), *colors, reporter=recorder)
    assert recorder.plans[0].device == "cpu (bf16)"
    assert {tensor.dtype for tensor in outcome.state_dict.values()} == {torch.float32, torch.int64}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"precision": "fp8"}, "'auto', 'fp32', 'bf16' or 'fp16'"),
        ({"ema": {}, "swa": {}}, "keep one of them"),
        ({"objective": "mAP"}, "this task has no objective 'mAP'; known: val_loss, top1_accuracy"),
    ],
)
def test_settings_that_cannot_be(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        TrainingConfig.model_validate({**CONFIG, **fields})


def test_names_of_the_original() -> None:
    config = TrainingConfig.model_validate({**CONFIG, "accumulate_grad_batches": 4, "precision": "bf16"})
    assert (config.gradient.accumulate, config.precision.name) == (4, "bf16")
