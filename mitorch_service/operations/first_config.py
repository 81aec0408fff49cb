"""Writes the first config for a data set: plain choices, each with its reason beside it."""

from __future__ import annotations

from dataclasses import dataclass

from mitorch_service.training.data.survey import Survey
from mitorch_service.wording.counted import counted

_TASKS = {
    "multiclass": "multiclass_classification",
    "multilabel": "multilabel_classification",
    "detection": "object_detection",
}
_SIZES = (32, 64, 96, 128, 160, 224)  # of a classifier's input
_DETECTOR_SIZES = (320, 480, 640, 800)
_SMALL = 2_000  # images, with which a larger network learns them by heart
_STEPS = 6_000  # of the optimizer, which a training from pretrained weights needs
_EPOCHS = (10, 100)
_CLASSES_SHOWN = 8


def first_config(survey: Survey, source: str) -> str:
    """Returns a commented training config in YAML for the data set at `source`."""
    choice = _detector(survey) if survey.kind == "detection" else _classifier(survey)
    low, high = survey.per_class
    shown = ", ".join(survey.classes[:_CLASSES_SHOWN]) + (", …" if len(survey.classes) > _CLASSES_SHOWN else "")
    most = counted(high, *(("box", "boxes") if survey.kind == "detection" else ("image",)))
    classes = counted(len(survey.classes), "class", "classes")
    lines = [
        "# yaml-language-server: $schema=mitorch.schema.json  (mitorch schema > mitorch.schema.json)",
        _comment(f"{source}: {counted(survey.images, 'image')}, shorter side about {survey.shorter_side} pixels"),
        _comment(f"{classes}, {f'{low} to {most}' if low < high else most} each: {shown}"),
        *_warnings(survey),
        "",
        f"task_type: {_TASKS[survey.kind]}",
        "model:",
        f"  name: {choice.model}  # {choice.model_reason}; others: mitrain --list-models PATTERN",
        f"  input_size: {choice.input_size}  # {choice.size_reason}",
        "  pretrained: true  # needs the model hub; false: start from random weights, and train several times as long",
        "optimizer:",
        f"  name: {choice.optimizer}",
        f"  weight_decay: {choice.weight_decay}",
        "lr_scheduler:",
        "  name: cosine",
        f"  base_lr: {choice.base_lr}  # the first thing to search: misubmit with a search, docs/search.md",
        "  warmup: linear",
        f"batch_size: {choice.batch_size}",
        f"max_epochs: {choice.epochs}  # some {choice.epochs * max(survey.images // choice.batch_size, 1):,} steps",
        *choice.further,
        "seed: 0",
    ]
    return "\n".join(lines) + "\n"


def _comment(text: str) -> str:
    """A line of YAML whatever names are in it."""
    return f"# {' '.join(''.join(one if one.isprintable() else ' ' for one in text).split())}"


@dataclass(frozen=True)
class _Choice:
    model: str
    model_reason: str
    input_size: int
    size_reason: str
    optimizer: str
    weight_decay: float
    base_lr: float
    batch_size: int
    epochs: int
    further: tuple[str, ...] = ()


def _classifier(survey: Survey) -> _Choice:
    small = survey.images < _SMALL
    size = next((one for one in _SIZES if one >= min(survey.shorter_side, _SIZES[-1])), _SIZES[-1])
    batch = 32 if small else 64
    metric = "top1_accuracy" if survey.kind == "multiclass" else "average_precision"
    return _Choice(
        model="resnet18" if small else "resnet50",
        model_reason=f"{'few' if small else 'enough'} images for {'a small' if small else 'a larger'} network",
        input_size=size,
        size_reason="as large as the images" if size < _SIZES[-1] else "what most pretrained weights were trained with",
        optimizer="adamw",
        weight_decay=0.05,
        base_lr=0.0005,
        batch_size=batch,
        epochs=_epochs(survey, batch),
        further=(f"objective: {metric}", "keep_weights: best  # the epoch with the best objective"),
    )


def _detector(survey: Survey) -> _Choice:
    size = next((one for one in _DETECTOR_SIZES if one >= survey.shorter_side), _DETECTOR_SIZES[-1])
    boxes = f", boxes of about {survey.box_side} pixels" if survey.box_side is not None else ""
    return _Choice(
        model="resnet50-fpn_v2-fasterrcnn",
        model_reason="accurate also on small objects",
        input_size=size,
        size_reason=f"the images' shorter side{boxes}",
        optimizer="sgd",
        weight_decay=0.0005,
        base_lr=0.005,
        batch_size=4,
        epochs=_epochs(survey, 4),
        further=("gradient: {clip_norm: 10.0}", "objective: mAP", "keep_weights: best"),
    )


def _epochs(survey: Survey, batch_size: int) -> int:
    low, high = _EPOCHS
    return min(max(round(_STEPS * batch_size / survey.images), low), high)


def _warnings(survey: Survey) -> list[str]:
    low, high = survey.per_class
    if low == 0:
        return ["# Some classes have no example: nothing can be learned of them."]
    if high > 20 * low:
        return ["# The classes are very uneven: judge by average_precision or f1, not by accuracy."]
    return []
