"""The sections of a training config that say how the weights move: optimizer, rate, averages, precision."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from mitorch_service.models.base import ConfigSection

# The names of the original MiTorch that mean one of ours.
_SCHEDULER_ALIASES = {"cosine_annealing": "cosine", "linear_decreasing": "linear"}

SchedulerName = Literal["cosine", "linear", "step", "multistep", "one_cycle", "plateau", "constant"]


def _warmup_name(value: object) -> object:
    return "constant" if value == "const" else value


class OptimizerConfig(ConfigSection):
    """The optimizer; ``weight_decay`` spares biases and normalisation layers."""

    name: Annotated[str, Field(min_length=1)] = "sgd"  # sgd, adam, adamw, rmsprop, or any of timm's
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9  # sgd, rmsprop and those of timm's that have one
    nesterov: bool = False  # sgd only
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
    alpha: Annotated[float, Field(ge=0, lt=1)] = 0.9  # rmsprop: smoothing of the squared gradient
    eps: Annotated[float, Field(gt=0, le=1)] | None = None  # None: the optimizer's own; rmsprop 0.0316
    weight_decay: Annotated[float, Field(ge=0)] = 1e-5
    backbone_factor: Annotated[float, Field(gt=0, le=1)] = 1.0  # the backbone's learning rate, as a part of the head's
    options: dict[str, Any] = {}  # further arguments of PyTorch's or timm's optimizer, such as amsgrad

    @model_validator(mode="before")
    @classmethod
    def _rate_is_elsewhere(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.keys() & {"lr", "learning_rate"}:
            raise ValueError("has no learning rate: it is lr_scheduler.base_lr")
        return given

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> OptimizerConfig:
        if self.nesterov and (self.name != "sgd" or self.momentum == 0):
            raise ValueError("nesterov needs sgd with momentum above 0: set momentum or remove nesterov")
        return self


class LrSchedulerConfig(ConfigSection):
    """The learning rate over time, changed at every step."""

    name: Annotated[SchedulerName, BeforeValidator(lambda v: _SCHEDULER_ALIASES.get(v, v) if isinstance(v, str) else v)]
    base_lr: Annotated[float, Field(gt=0, le=100)]  # the highest
    final_factor: Annotated[float, Field(ge=0, le=1)] = 0.0  # cosine, linear: of base_lr, where the training ends
    step_size: Annotated[int, Field(ge=1)] | None = None  # step: epochs between two drops (default: a third)
    milestones: list[Annotated[int, Field(ge=1)]] = []  # multistep: after which epochs the rate drops
    step_gamma: Annotated[float, Field(gt=0, le=1)] = 0.1  # step, multistep, plateau: factor of each drop
    patience: Annotated[int, Field(ge=0)] = 3  # plateau: epochs without a better objective that cause no drop
    rise: Annotated[float, Field(gt=0, lt=1)] = 0.3  # one_cycle: part of the training in which the rate climbs
    start_factor: Annotated[float, Field(gt=0, le=1)] = 0.04  # one_cycle: of base_lr, where it begins
    end_factor: Annotated[float, Field(ge=0, le=1)] = 4e-6  # one_cycle: of base_lr, where it ends
    warmup: Annotated[Literal["none", "constant", "linear"], BeforeValidator(_warmup_name)] = "none"
    warmup_epochs: Annotated[float, Field(ge=0)] = 1.0
    warmup_steps: Annotated[int, Field(ge=0)] | None = None  # instead of warmup_epochs
    warmup_factor: Annotated[float, Field(ge=0, le=1)] = 0.01  # of base_lr, where the warm-up begins

    @model_validator(mode="after")
    def _consistent(self) -> LrSchedulerConfig:
        if bool(self.milestones) != (self.name == "multistep"):
            raise ValueError("milestones belong to multistep: give it a list of epochs such as [30, 60]")
        if self.name == "one_cycle" and self.warmup != "none":
            raise ValueError("one_cycle climbs by itself: remove warmup, set rise and start_factor instead")
        if "warmup" not in self.model_fields_set and {"warmup_epochs", "warmup_steps"} & self.model_fields_set:
            raise ValueError('there is no warm-up without its kind: add "warmup": "linear" (or "constant", or "none")')
        return self


class GradientConfig(ConfigSection):
    """What happens to the gradients before they move the weights."""

    clip_norm: Annotated[float, Field(gt=0)] | None = None  # scaled down to this length of all of them together
    clip_value: Annotated[float, Field(gt=0)] | None = None  # each number cut to this size
    accumulate: Annotated[int, Field(ge=1, le=10_000)] = 1  # batches whose gradients make one step of the optimizer


class EmaConfig(ConfigSection):
    """An exponential moving average of the weights, which is what is validated and saved."""

    decay: Annotated[float, Field(gt=0, lt=1)] = 0.9998
    warmup: bool = True  # after n steps at most 1 - (1 + n) ** -2/3: a short training is not held at its start


class SwaConfig(ConfigSection):
    """The mean of the weights after each of the last epochs, which is what is validated and saved from then on."""

    start: Annotated[float, Field(ge=0, lt=1)] = 0.75  # part of max_epochs after which it begins
    base_lr: Annotated[float, Field(gt=0, le=100)] | None = None  # the constant rate from there; None: as scheduled


class EarlyStoppingConfig(ConfigSection):
    """Ends a training, as completed, when its objective does not get better any more."""

    max_plateau_count: Annotated[int, Field(ge=1)]  # epochs in a row without a better objective
    min_delta: Annotated[float, Field(ge=0)] = 0.0  # a smaller gain counts as none


class PrecisionConfig(ConfigSection):
    """The arithmetic of the network; weights, optimizer and losses stay float32."""

    name: Literal["auto", "fp32", "bf16", "fp16"] = "auto"  # auto: bf16 or else fp16 on CUDA, fp32 elsewhere
    channels_last: bool | None = None  # the memory layout that convolutions on CUDA like; None: there only
    compile: bool = False  # torch.compile: minutes at the start, faster steps


class CheckpointConfig(ConfigSection):
    """How often the state of a training is kept, to go on from after a loss of the machine."""

    epochs: Annotated[int, Field(ge=1)] = 1  # after each so many
    minutes: Annotated[float, Field(gt=0)] = 10.0  # and within an epoch that takes longer


def precision_section(value: object) -> object:
    """``"bf16"`` is short for ``{"name": "bf16"}``."""
    return {"name": value} if isinstance(value, str) else value
