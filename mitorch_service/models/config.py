"""The training config: what a user writes to say how one model is trained."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from mitorch_service.models.base import ConfigSection
from mitorch_service.models.dataset import DatasetChoice
from mitorch_service.models.optimization import (
    CheckpointConfig,
    EarlyStoppingConfig,
    EmaConfig,
    GradientConfig,
    LrSchedulerConfig,
    OptimizerConfig,
    PrecisionConfig,
    SwaConfig,
    precision_section,
)
from mitorch_service.models.training import ClusterNames

# multiclass_classification, multilabel_classification, object_detection, or a task that an installed package adds:
# which there are is known where the engine is installed, and checked there (training/config_check.py).
TaskType = Annotated[str, Field(min_length=1)]
# What the evaluation of each task holds beside val_loss: the objectives that a search may have.
METRICS: dict[str, tuple[str, ...]] = {
    "multiclass_classification": (
        "top1_accuracy",
        "top5_accuracy",
        "average_precision",
        "precision",
        "recall",
        "f1",
    ),
    "multilabel_classification": ("average_precision", "accuracy_50", "precision", "recall", "f1"),
    "object_detection": (
        "mAP",
        "mAP_30",
        "mAP_50",
        "mAP_75",
        "mAP_90",
        "image_precision",
        "image_recall",
        "image_accuracy",
        "image_true_positives",
        "image_false_positives",
        "image_false_negatives",
        "image_true_negatives",
    ),
}
# Which there are, with their parameters: training/augmentation_options.py. Checked there: installed packages add some.
AugmentationName = Annotated[str, Field(min_length=1)]


def _guid(value: str) -> str:
    import uuid

    try:
        return str(uuid.UUID(value))
    except ValueError:
        raise ValueError(f"{value!r} is not the GUID of a training") from None


Guid = Annotated[str, AfterValidator(_guid)]


class ModelConfig(ConfigSection):
    """The network: a classifier of timm, a detector (``mitrain --list-models``), or what an installed package adds."""

    name: Annotated[str, Field(min_length=1)]
    input_size: Annotated[int, Field(ge=8, le=4096)] = 224  # pixels, square
    pretrained: bool = False  # start from the hub's weights; the machine must reach the hub
    options: dict[str, Any] = {}  # further arguments: of timm.create_model (drop_rate), of torchvision's detector


class AugmentationStep(ConfigSection):
    """One named transform with parameters of its own."""

    name: AugmentationName
    options: dict[str, Any] = {}


def augmentation_list(value: object) -> list[Any]:
    """``"flip"``, ``["flip", {"name": …, "options": …}]`` and ``{"name": …}`` are the same thing: a list."""
    steps = value if isinstance(value, list) else [value]
    return [{"name": step} if isinstance(step, str) else step for step in steps]


AugmentationList = Annotated[list[AugmentationStep], BeforeValidator(augmentation_list), Field(min_length=1)]


class AugmentationConfig(ConfigSection):
    """What happens to an image before the network sees it, in training and in validation.

    The defaults are those of classification; detection has its own (training/augmentation.py).
    """

    train: AugmentationList = [
        AugmentationStep(name="random_resized_crop"),
        AugmentationStep(name="horizontal_flip"),
    ]
    val: AugmentationList = [AugmentationStep(name="center_crop")]


class DataConfig(ConfigSection):
    """How images are read."""

    on_error: Literal["fail", "skip"] = "fail"  # of a damaged image: end the training, or leave it out and say so
    cache_memory: Annotated[float, Field(ge=0, le=4096)] = 1.0  # GiB of decoded images kept by each training; 0: none
    reduced_decoding: bool = True  # large JPEGs at a half, a quarter or an eighth, while that is at least twice what
    # the network sees; changes the pixels a little


class ResourcesConfig(ConfigSection):
    """What the training needs of a cluster; what is left out does not matter."""

    gpus: Annotated[int, Field(ge=0, le=64)] | None = None  # of each node; None: whatever a node has
    nodes: Annotated[int, Field(ge=1, le=1024)] = 1  # at the same time, as one distributed run
    memory: Annotated[float, Field(gt=0, le=1e6)] | None = None  # GiB of each node
    cluster: Annotated[ClusterNames, Field(min_length=1)] | None = None  # a name or a list: only there


class TrainingConfig(ConfigSection):
    """A whole training config. ``dataset`` may also be given on the command line."""

    model: ModelConfig
    optimizer: OptimizerConfig = OptimizerConfig()
    lr_scheduler: LrSchedulerConfig
    gradient: GradientConfig = GradientConfig()
    ema: EmaConfig | None = None
    swa: SwaConfig | None = None
    precision: Annotated[PrecisionConfig, BeforeValidator(precision_section)] = PrecisionConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    objective: str | None = None  # val_loss or a metric: what "better" means; None: a trial's own, else val_loss
    early_stopping: EarlyStoppingConfig | None = None
    keep_weights: Literal["last", "best"] = "last"  # the epoch of the saved weights and of the final evaluation
    on_divergence: Literal["fail", "lower_lr"] = "fail"  # lower_lr: on from the last good checkpoint, at a tenth
    augmentation: AugmentationConfig = AugmentationConfig()
    data: DataConfig = DataConfig()
    task_type: TaskType = "multiclass_classification"
    batch_size: Annotated[int, Field(ge=1, le=65536)] = 32  # of all processes together
    max_epochs: Annotated[int, Field(ge=1, le=100_000)]
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0  # of classification, in training only
    eval_confidence: Annotated[float, Field(ge=0, le=1)] = 0.5  # a detection, or an image's label, counts from here
    base: Guid | None = None  # start from the weights of this training
    dataset: DatasetChoice | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    num_workers: Annotated[int, Field(ge=0, le=256)] | None = None  # image-loading processes; None: by the set's size
    max_retries: Annotated[int, Field(ge=0, le=100)] = 0  # after errors of its own; lost attempts do not count
    resources: ResourcesConfig | None = None  # None: one node of any cluster

    @model_validator(mode="before")
    @classmethod
    def _input_size_at_top_level(cls, data: Any) -> Any:
        """The original's files have ``input_size`` beside ``model``."""
        if isinstance(data, dict) and "input_size" in data and isinstance(data.get("model"), dict):
            data = dict(data)
            data["model"] = {"input_size": data.pop("input_size"), **data["model"]}
        return data

    @model_validator(mode="before")
    @classmethod
    def _accumulation_at_top_level(cls, data: Any) -> Any:
        """The original's files have ``accumulate_grad_batches`` beside ``batch_size``."""
        if isinstance(data, dict) and "accumulate_grad_batches" in data and isinstance(data.get("gradient", {}), dict):
            data = dict(data)
            data["gradient"] = {"accumulate": data.pop("accumulate_grad_batches"), **data.get("gradient", {})}
        return data

    @model_validator(mode="before")
    @classmethod
    def _processes_are_gpus(cls, data: Any) -> Any:
        """The original's files may have ``num_processes``: one for each GPU, -1 for all that a node has."""
        if not isinstance(data, dict) or "num_processes" not in data:
            return data
        data = dict(data)
        count = data.pop("num_processes")
        if count == -1:
            return data
        if isinstance(count, bool) or not isinstance(count, int) or count < 1 or data.get("resources") is not None:
            raise ValueError(f"num_processes is -1 or a number of GPUs, without resources beside it (it is {count!r})")
        return {**data, "resources": {"gpus": count}}

    @model_validator(mode="after")
    def _one_average(self) -> TrainingConfig:
        if self.ema is not None and self.swa is not None:
            raise ValueError("ema and swa are both averages of the weights: keep one of them")
        return self

    @model_validator(mode="after")
    def _smoothing_has_an_effect(self) -> TrainingConfig:
        if self.label_smoothing > 0 and self.task_type == "object_detection":
            raise ValueError("label_smoothing is for classification: remove it")
        return self

    @model_validator(mode="after")
    def _known_objective(self) -> TrainingConfig:
        known = METRICS.get(self.task_type)
        if self.objective is not None and known is not None and self.objective not in ("val_loss", *known):
            raise ValueError(f"objective {self.objective!r} is none of this task's: val_loss, {', '.join(known)}")
        return self
