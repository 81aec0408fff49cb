"""The training config: what a user writes to say how one model is trained."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from mitorch_service.models.base import ConfigSection
from mitorch_service.models.dataset import DatasetChoice

# The names of the original MiTorch that mean one of ours.
_SCHEDULER_ALIASES = {"cosine_annealing": "cosine", "linear_decreasing": "linear"}

TaskType = Literal["multiclass_classification"]
SchedulerName = Literal["cosine", "step", "linear", "constant"]
# What the evaluation of each task holds beside val_loss: the objectives that a search may have.
METRICS: dict[str, tuple[str, ...]] = {
    "multiclass_classification": ("top1_accuracy", "top5_accuracy", "average_precision"),
}
AugmentationName = Literal[
    "resize",
    "center_crop",
    "resize_flip",
    "random_crop",
    "random_resized_crop",
    "inception",
    "horizontal_flip",
    "vertical_flip",
    "random_rotation",
    "random_affine",
    "color_jitter",
    "to_gray",
    "random_erasing",
    "trivial_augment",
    "rand_augment",
]


def _guid(value: str) -> str:
    import uuid

    try:
        return str(uuid.UUID(value))
    except ValueError:
        raise ValueError(f"{value!r} is not the GUID of a training") from None


Guid = Annotated[str, AfterValidator(_guid)]


class ModelConfig(ConfigSection):
    """The network: any classification model of timm, by its name there."""

    name: Annotated[str, Field(min_length=1)]
    input_size: Annotated[int, Field(ge=8, le=4096)] = 224  # pixels, square
    pretrained: bool = False  # start from the hub's weights; the machine must reach the hub
    options: dict[str, Any] = {}  # further arguments of timm.create_model, such as drop_rate


class OptimizerConfig(ConfigSection):
    """The optimizer; ``weight_decay`` spares biases and normalisation layers."""

    name: Literal["sgd", "adam", "adamw"] = "sgd"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9  # sgd only
    nesterov: bool = False  # sgd only
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
    weight_decay: Annotated[float, Field(ge=0)] = 1e-5

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> OptimizerConfig:
        if self.nesterov and (self.name != "sgd" or self.momentum == 0):
            raise ValueError("nesterov needs sgd with momentum above 0: set momentum or remove nesterov")
        return self


class LrSchedulerConfig(ConfigSection):
    """The learning rate over time, changed at every step."""

    name: Annotated[SchedulerName, BeforeValidator(lambda v: _SCHEDULER_ALIASES.get(v, v) if isinstance(v, str) else v)]
    base_lr: Annotated[float, Field(gt=0, le=100)]
    step_size: Annotated[int, Field(ge=1)] | None = None  # step: epochs between two drops (default: a third)
    step_gamma: Annotated[float, Field(gt=0, le=1)] = 0.1  # step: factor of each drop
    warmup: Literal["none", "constant", "linear"] = "none"
    warmup_epochs: Annotated[float, Field(ge=0)] = 1.0
    warmup_factor: Annotated[float, Field(ge=0, le=1)] = 0.01  # of base_lr, where the warm-up begins


class AugmentationStep(ConfigSection):
    """One named transform with parameters of its own."""

    name: AugmentationName
    options: dict[str, Any] = {}


def _augmentation_list(value: object) -> object:
    """``"flip"``, ``["flip", {"name": …, "options": …}]`` and ``{"name": …}`` are the same thing: a list."""
    steps = value if isinstance(value, list) else [value]
    return [{"name": step} if isinstance(step, str) else step for step in steps]


AugmentationList = Annotated[list[AugmentationStep], BeforeValidator(_augmentation_list), Field(min_length=1)]


class AugmentationConfig(ConfigSection):
    """What happens to an image before the network sees it, in training and in validation."""

    train: AugmentationList = [
        AugmentationStep(name="random_resized_crop"),
        AugmentationStep(name="horizontal_flip"),
    ]
    val: AugmentationList = [AugmentationStep(name="center_crop")]


class TrainingConfig(ConfigSection):
    """A whole training config. ``dataset`` may also be given on the command line."""

    model: ModelConfig
    optimizer: OptimizerConfig = OptimizerConfig()
    lr_scheduler: LrSchedulerConfig
    augmentation: AugmentationConfig = AugmentationConfig()
    task_type: TaskType = "multiclass_classification"
    batch_size: Annotated[int, Field(ge=1, le=65536)] = 32
    max_epochs: Annotated[int, Field(ge=1, le=100_000)]
    base: Guid | None = None  # start from the weights of this training
    dataset: DatasetChoice | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    num_workers: Annotated[int, Field(ge=0, le=256)] | None = None  # image-loading processes; None: by the set's size
    max_retries: Annotated[int, Field(ge=0, le=100)] = 0  # after errors of its own; lost attempts do not count

    @model_validator(mode="before")
    @classmethod
    def _input_size_at_top_level(cls, data: Any) -> Any:
        """The original's files have ``input_size`` beside ``model``."""
        if isinstance(data, dict) and "input_size" in data and isinstance(data.get("model"), dict):
            data = dict(data)
            data["model"] = {"input_size": data.pop("input_size"), **data["model"]}
        return data
