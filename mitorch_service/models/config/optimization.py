"""The sections of a training config about optimization: optimizer, schedule, averages, precision, checkpoints."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, JsonValue, model_validator

from mitorch_service.models.base import ConfigSection

# The original MiTorch's names for our optimizers.
_SCHEDULER_ALIASES = {"cosine_annealing": "cosine", "linear_decreasing": "linear"}

SchedulerName = Literal["cosine", "linear", "step", "multistep", "one_cycle", "plateau", "constant"]
DEFAULT_SCHEDULER: SchedulerName = "cosine"
_RATE = 0.01  # of sgd with momentum, for batches of some 32 images
_ADAPTIVE_RATE = 0.001  # of Adam and its relatives, as in PyTorch


def default_rate(optimizer: object) -> float:
    """Returns the base_lr for the section `optimizer` of a config, as it was written."""
    name = optimizer.get("name", "sgd") if isinstance(optimizer, dict) else "sgd"
    return _RATE if name == "sgd" else _ADAPTIVE_RATE


def _scheduler_name(value: object) -> object:
    return _SCHEDULER_ALIASES.get(value, value) if isinstance(value, str) else value


def _warmup_name(value: object) -> object:
    return "constant" if value == "const" else value


class OptimizerConfig(ConfigSection):
    """The optimizer. ``weight_decay`` does not apply to biases and normalisation layers."""

    name: Annotated[str, Field(min_length=1)] = "sgd"  # sgd, adam, adamw, rmsprop, or one of timm's
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9  # sgd, rmsprop, and timm's optimizers with momentum
    nesterov: bool = False  # sgd only
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (
        0.9,
        0.999,
    )  # Adam and its relatives
    alpha: Annotated[float, Field(ge=0, lt=1)] = 0.9  # rmsprop: smoothing of the squared gradient
    eps: Annotated[float, Field(gt=0, le=1)] | None = None  # None: the optimizer's default; rmsprop 0.0316
    weight_decay: Annotated[float, Field(ge=0)] = 1e-5  # not of biases and normalisation layers
    backbone_factor: Annotated[float, Field(gt=0, le=1)] = 1.0  # the backbone's learning rate / the head's
    options: dict[str, JsonValue] = {}  # further arguments of PyTorch's or timm's optimizer, such as amsgrad

    @model_validator(mode="before")
    @classmethod
    def _rate_is_elsewhere(cls, given: object) -> object:
        if isinstance(given, dict) and given.keys() & {"lr", "learning_rate"}:
            raise ValueError("the learning rate is not set here: write it as lr_scheduler.base_lr")
        return given

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> OptimizerConfig:
        if self.nesterov and (self.name != "sgd" or self.momentum == 0):
            raise ValueError("nesterov needs sgd with momentum above 0: set momentum or remove nesterov")
        return self


class LrSchedulerConfig(ConfigSection):
    """The learning rate schedule, updated at every step."""

    name: Annotated[SchedulerName, BeforeValidator(_scheduler_name)] = DEFAULT_SCHEDULER  # the shape of the schedule
    base_lr: Annotated[float, Field(gt=0, le=100)] = _RATE  # the maximum; 0.001 by default for others than sgd
    final_factor: Annotated[float, Field(ge=0, le=1)] = 0.0  # cosine, linear: final rate / base_lr
    step_size: Annotated[int, Field(ge=1)] | None = None  # step: epochs between drops; None: a third of max_epochs
    milestones: list[Annotated[int, Field(ge=1)]] = []  # multistep: epochs after which the rate drops
    step_gamma: Annotated[float, Field(gt=0, le=1)] = 0.1  # step, multistep, plateau: the factor of each drop
    patience: Annotated[int, Field(ge=0)] = 3  # plateau: the rate drops after more epochs without improvement
    rise: Annotated[float, Field(gt=0, lt=1)] = 0.3  # one_cycle: the fraction of the training in which the rate rises
    start_factor: Annotated[float, Field(gt=0, le=1)] = 0.04  # one_cycle: initial rate / base_lr
    end_factor: Annotated[float, Field(ge=0, le=1)] = 4e-6  # one_cycle: final rate / base_lr
    warmup: Annotated[Literal["none", "constant", "linear"], BeforeValidator(_warmup_name)] = "none"  # a rise
    # to base_lr at the start: at one low rate (constant), or step by step (linear)
    warmup_epochs: Annotated[float, Field(ge=0)] = 1.0  # its length; may be a fraction
    warmup_steps: Annotated[int, Field(ge=0)] | None = None  # instead of warmup_epochs
    warmup_factor: Annotated[float, Field(ge=0, le=1)] = 0.01  # initial rate / base_lr

    @model_validator(mode="after")
    def _consistent(self) -> LrSchedulerConfig:
        if bool(self.milestones) != (self.name == "multistep"):
            raise ValueError("milestones belong to multistep: give it a list of epochs such as [30, 60]")
        if self.name == "one_cycle" and self.warmup != "none":
            raise ValueError("one_cycle has its own warm-up: remove warmup, set rise and start_factor instead")
        if "warmup" not in self.model_fields_set and {"warmup_epochs", "warmup_steps"} & self.model_fields_set:
            raise ValueError('the kind of warm-up is missing: add "warmup": "linear" (or "constant", or "none")')
        return self


class GradientConfig(ConfigSection):
    """The clipping and accumulation of gradients."""

    clip_norm: Annotated[float, Field(gt=0)] | None = None  # the maximum 2-norm of all gradients together
    clip_value: Annotated[float, Field(gt=0)] | None = None  # the maximum absolute value of each element
    accumulate: Annotated[int, Field(ge=1, le=10_000)] = 1  # batches per optimizer step


class EmaConfig(ConfigSection):
    """An exponential moving average of the weights, which is validated and saved instead of them."""

    decay: Annotated[float, Field(gt=0, lt=1)] = 0.9998  # the weight of the average at each step
    warmup: bool = True  # limits the decay in step n to 1 - n ** -2/3, as timm does, so that short trainings move


class SwaConfig(ConfigSection):
    """The mean of the weights after each of the last epochs, which is validated and saved instead of them."""

    start: Annotated[float, Field(ge=0, lt=1)] = 0.75  # the fraction of max_epochs after which averaging starts
    base_lr: Annotated[float, Field(gt=0, le=100)] | None = None  # the constant rate from then on; None: as scheduled


class EarlyStoppingConfig(ConfigSection):
    """Ends a training, as completed, when its objective stops improving."""

    max_plateau_count: Annotated[int, Field(ge=1)]  # consecutive epochs without improvement
    min_delta: Annotated[float, Field(ge=0)] = 0.0  # the smallest change that counts as an improvement


class PrecisionConfig(ConfigSection):
    """The numeric precision of the network; weights, optimizer and losses stay float32."""

    name: Literal["auto", "fp32", "bf16", "fp16"] = "auto"  # auto: bf16, or fp16 without it, on CUDA; fp32 elsewhere
    channels_last: bool | None = None  # a memory layout that is faster for convolutions on CUDA; None: only there
    compile: bool = False  # torch.compile: takes minutes at the start, then steps are faster


class CheckpointConfig(ConfigSection):
    """The intervals of checkpoints, from which a training resumes when its machine is lost."""

    epochs: Annotated[int, Field(ge=1)] = 1  # epochs between checkpoints
    minutes: Annotated[float, Field(gt=0)] = 10.0  # between checkpoints within a longer epoch


def precision_section(value: object) -> object:
    """Expands the short form ``"bf16"`` to ``{"name": "bf16"}``."""
    return {"name": value} if isinstance(value, str) else value
