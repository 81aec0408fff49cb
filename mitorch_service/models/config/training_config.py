"""The training config, written by a user: how to train one model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, model_validator

from mitorch_service.models.base import ConfigSection
from mitorch_service.models.config.optimization import (
    DEFAULT_SCHEDULER,
    CheckpointConfig,
    EarlyStoppingConfig,
    EmaConfig,
    GradientConfig,
    LrSchedulerConfig,
    OptimizerConfig,
    PrecisionConfig,
    SwaConfig,
    default_rate,
    precision_section,
)
from mitorch_service.models.dataset import DatasetChoice
from mitorch_service.models.training import DEFAULT_MAX_EPOCHS, ClusterNames

# multiclass_classification, multilabel_classification, object_detection, or a task of an installed package. Checked by
# training/loop/config_check.py, where the engine is installed.
TaskType = Annotated[str, Field(min_length=1)]
# The metrics of each task's evaluation; with val_loss, these are the possible objectives of a search.
METRICS: dict[str, tuple[str, ...]] = {
    "multiclass_classification": (
        "top1_accuracy",
        "top5_accuracy",
        "average_precision",
        "precision",
        "recall",
        "f1",
    ),
    "multilabel_classification": ("average_precision", "accuracy_50", "precision", "recall", "f1", "best_f1"),
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
        "best_f1",
    ),
}
_TOP = 5  # guesses of top5_accuracy
BEST_F1, BEST_THRESHOLD = "best_f1", "best_threshold"  # the highest F1 over all classes; the confidence that reaches it


def metrics_for(task_type: str, classes: int) -> tuple[str, ...]:
    """Returns the metrics of a built-in task that can differ from 1 with so many classes (top-5 of five is always 1),
    and the threshold of the best F1, which is no objective."""
    found = tuple(name for name in METRICS[task_type] if name != "top5_accuracy" or classes > _TOP)
    return (*found, BEST_THRESHOLD) if BEST_F1 in found else found


# Checked by training/augmentation/options.py, because installed packages may add augmentations.
AugmentationName = Annotated[str, Field(min_length=1)]


def _is_none(value: object) -> bool:
    return value is None


def _guid(value: str) -> str:
    import uuid

    try:
        return str(uuid.UUID(value))
    except ValueError:
        raise ValueError("must be the GUID of a training") from None


Guid = Annotated[str, AfterValidator(_guid)]


# The original MiTorch writes [] for none.
ModelOptions = Annotated[dict[str, JsonValue], BeforeValidator(lambda value: {} if value == [] else value)]


class ModelConfig(ConfigSection):
    """The network: a timm classifier, a detector, or a model of an installed package (``mitrain --list-models``)."""

    name: Annotated[str, Field(min_length=1)]  # mitrain --list-models PATTERN lists them
    input_size: Annotated[int, Field(ge=8, le=4096)] = 224  # pixels, square
    pretrained: bool = False  # start from the hub's weights, to which the machine needs access
    options: ModelOptions = {}  # further arguments of timm.create_model (drop_rate) or a torchvision detector


def model_section(value: object) -> object:
    """Expands the short form ``"resnet18"`` to ``{"name": "resnet18"}``."""
    return {"name": value} if isinstance(value, str) else value


class AugmentationStep(ConfigSection):
    """A named transform with its options."""

    name: AugmentationName  # a transform of torchvision, or of an installed package
    options: dict[str, JsonValue] = {}  # its arguments


def augmentation_list(value: object) -> list[object]:
    """Converts the short forms ``"flip"`` and ``{"name": …}``, alone or in a list, to a list of steps."""
    steps = value if isinstance(value, list) else [value]
    return [{"name": step} if isinstance(step, str) else step for step in steps]


AugmentationList = Annotated[list[AugmentationStep], BeforeValidator(augmentation_list), Field(min_length=1)]


class AugmentationConfig(ConfigSection):
    """The transforms of images in training and in validation.

    The defaults are those of classification; for detection's see training/augmentation/pipeline.py.
    """

    train: AugmentationList = [
        AugmentationStep(name="random_resized_crop"),
        AugmentationStep(name="horizontal_flip"),
    ]
    val: AugmentationList = [AugmentationStep(name="center_crop")]


class DataConfig(ConfigSection):
    """The reading of images."""

    on_error: Literal["fail", "skip"] = "fail"  # for a damaged image: fail the training, or skip the image and log it
    cache_memory: Annotated[float, Field(ge=0, le=4096)] = 1.0  # GiB of decoded images cached per training; 0: none
    reduced_decoding: bool = True  # decode large JPEGs at 1/2, 1/4 or 1/8 of their size, if that is at least twice
    # the network's input; changes the pixels slightly
    max_pixels: Annotated[int, Field(ge=1, le=2**40)] = 128_000_000  # width x height; a larger image counts as damaged
    max_unpacked_size: Annotated[float, Field(gt=0, le=4096)] = 1.0  # GiB; a larger image in a zip counts as damaged
    stall_timeout: Annotated[float, Field(gt=0, le=86400)] = 600.0  # seconds without a batch: then the training fails


class ResourcesConfig(ConfigSection):
    """The resources that a training needs; anything left out does not matter."""

    gpus: Annotated[int, Field(ge=0, le=64)] | None = None  # per node; None: all that a node has
    nodes: Annotated[int, Field(ge=1, le=1024)] = 1  # in one distributed run
    memory: Annotated[float, Field(gt=0, le=1e6)] | None = None  # GiB per node
    cluster: Annotated[ClusterNames, Field(min_length=1)] | None = None  # a name or a list of names: only these
    compute: Annotated[str, Field(min_length=1)] | None = Field(  # Azure ML: another compute of the cluster's workspace
        None, exclude_if=_is_none
    )
    image: Annotated[str, Field(min_length=1)] | None = Field(  # Azure ML: a Docker image or a registered environment;
        # null: the cluster's
        None,
        exclude_if=_is_none,
    )
    experiment: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")] | None = Field(  # Azure ML: under which
        # the run is listed; null: the cluster's
        None,
        exclude_if=_is_none,
    )


class TrainingConfig(ConfigSection):
    """A complete training config. ``dataset`` may also be given on the command line."""

    model: Annotated[ModelConfig, BeforeValidator(model_section)]
    optimizer: OptimizerConfig = OptimizerConfig()
    lr_scheduler: LrSchedulerConfig = LrSchedulerConfig()
    gradient: GradientConfig = GradientConfig()
    ema: EmaConfig | None = None
    swa: SwaConfig | None = None
    precision: Annotated[PrecisionConfig, BeforeValidator(precision_section)] = PrecisionConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    objective: str | None = None  # val_loss or a metric, compares epochs; None: the search's, else val_loss
    early_stopping: EarlyStoppingConfig | None = None
    keep_weights: Literal["last", "best"] = "last"  # the epoch whose weights are saved and evaluated
    on_divergence: Literal["fail", "lower_lr"] = "fail"  # lower_lr: resume from the last good checkpoint at lr / 10
    augmentation: AugmentationConfig = AugmentationConfig()
    data: DataConfig = DataConfig()
    # multiclass_classification, multilabel_classification, object_detection, or a task of an installed package
    task_type: TaskType = "multiclass_classification"
    batch_size: Annotated[int, Field(ge=1, le=65536)] = 32  # of all processes together
    max_epochs: Annotated[int, Field(ge=1, le=100_000)] = DEFAULT_MAX_EPOCHS  # passes over the training images
    max_steps: Annotated[int, Field(ge=1, le=10**9)] | None = Field(  # batches to train on, instead of max_epochs
        None, exclude_if=_is_none
    )
    eval_every: Annotated[int, Field(ge=1, le=10**9)] | None = Field(  # with max_steps: an epoch has so many steps,
        # after which it is validated; null: as many as a pass over the training images has
        None,
        exclude_if=_is_none,
    )
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0  # classification only, in training only
    eval_confidence: Annotated[float, Field(ge=0, le=1)] = 0.5  # the score from which a detection or a label counts
    base: Guid | None = None  # start from the weights of this training
    dataset: DatasetChoice | None = None  # a registered one, NAME or NAME:VERSION; or misubmit --dataset
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0  # the same seed gives the same training
    num_workers: Annotated[int, Field(ge=0, le=256)] | None = None  # data loader processes; None: by data set size
    max_retries: Annotated[int, Field(ge=0, le=100)] = 0  # after its own errors; lost attempts do not count
    # Seconds without a step after which the attempt is lost, as it hangs; in the queue only. None: no limit.
    max_silence: Annotated[float, Field(gt=0, le=1e9)] | None = None
    resources: ResourcesConfig | None = None  # None: one node of any cluster

    @model_validator(mode="before")
    @classmethod
    def _input_size_at_top_level(cls, data: object) -> object:
        """Accepts ``input_size`` beside ``model``, as in the original MiTorch's files."""
        model = model_section(data.get("model")) if isinstance(data, dict) and "input_size" in data else None
        if isinstance(data, dict) and isinstance(model, dict):
            data = dict(data)
            data["model"] = {"input_size": data.pop("input_size"), **model}
        return data

    @model_validator(mode="before")
    @classmethod
    def _write_out_defaults(cls, data: object) -> object:
        """Sets the learning rate and the epochs that are left out, so that the stored config names them: a later
        version with other defaults changes nothing that is queued."""
        if not isinstance(data, dict):
            return data
        scheduler = data.get("lr_scheduler", {})
        if isinstance(scheduler, dict):
            scheduler = {"name": DEFAULT_SCHEDULER, "base_lr": default_rate(data.get("optimizer")), **scheduler}
        length = {} if data.get("max_steps") is not None else {"max_epochs": DEFAULT_MAX_EPOCHS}
        return {**length, **data, "lr_scheduler": scheduler}

    @model_validator(mode="before")
    @classmethod
    def _accumulation_at_top_level(cls, data: object) -> object:
        """Accepts ``accumulate_grad_batches`` beside ``batch_size``, as in the original MiTorch's files."""
        if isinstance(data, dict) and "accumulate_grad_batches" in data and isinstance(data.get("gradient", {}), dict):
            data = dict(data)
            data["gradient"] = {"accumulate": data.pop("accumulate_grad_batches"), **data.get("gradient", {})}
        return data

    @model_validator(mode="before")
    @classmethod
    def _processes_are_gpus(cls, data: object) -> object:
        """Accepts ``num_processes``, as in the original MiTorch's files: one per GPU, -1 for all that a node has."""
        if not isinstance(data, dict) or "num_processes" not in data:
            return data
        data = dict(data)
        count = data.pop("num_processes")
        if count == -1:
            return data
        if isinstance(count, bool) or not isinstance(count, int) or count < 1 or data.get("resources") is not None:
            raise ValueError(f"num_processes must be -1 or a number of GPUs, without resources (it is {count!r})")
        return {**data, "resources": {"gpus": count}}

    @model_validator(mode="after")
    def _one_average(self) -> TrainingConfig:
        if self.ema is not None and self.swa is not None:
            raise ValueError("ema and swa are both averages of the weights: keep one of them")
        return self

    @model_validator(mode="after")
    def _one_length(self) -> TrainingConfig:
        if self.max_steps is None:
            if self.eval_every is not None:
                raise ValueError("eval_every belongs to max_steps: add that, or remove eval_every")
            return self
        if "max_epochs" in self.model_fields_set:
            raise ValueError("max_steps and max_epochs both say how long to train: keep one of them")
        if self.swa is not None and self.eval_every is None:
            raise ValueError("swa averages the last epochs: say by eval_every how many steps of max_steps each has")
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
            raise ValueError(f"this task has no objective {self.objective!r}; known: val_loss, {', '.join(known)}")
        return self
