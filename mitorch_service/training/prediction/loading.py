"""Loads a model from a weights file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from mitorch_service.errors import InvalidInput, ModelError, Problem
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.models.config.validation import check
from mitorch_service.training.augmentation.pipeline import is_fixed, steps_for
from mitorch_service.training.device import best_device
from mitorch_service.training.networks.fitting import load_all
from mitorch_service.training.networks.network import Network
from mitorch_service.training.networks.weights import Weights, read_weights
from mitorch_service.training.optimization.precision import Precision
from mitorch_service.training.prediction.model import Model
from mitorch_service.training.prediction.outcomes import Boxing, Labelling
from mitorch_service.training.prediction.unlabelled_images import validation_augmentation
from mitorch_service.training.tasks.base import Task, build_for_weights, open_task
from mitorch_service.training.tasks.task_names import BUILT_IN


def load_model(
    path: Path,
    *,
    source: str | None = None,
    config: TrainingConfig | None = None,
    classes: Sequence[str] | None = None,
    device: str | None = None,
) -> Model:
    """Loads weights that know their config and classes, or plain ones with those given; executes no code from the file.

    `source` is what messages call the weights (default: the path). `device`: such as ``cuda:1``; the default is the
    first GPU, else the CPU. Raises ModelError unless the weights fit the config's network exactly.
    """
    source = source or str(path)
    weights = read_weights(path)
    config = _known_config(weights, config, source)
    names = _known_classes(weights, classes, source)
    if config.task_type not in BUILT_IN:
        raise ModelError(f"{source} is of the task {config.task_type}: only {', '.join(BUILT_IN)} can be predicted.")
    task = open_task(config.task_type)
    network = build_for_weights(task, config.model, len(names))
    load_all(network.module, weights.state_dict, source)
    chosen = _device(device)
    precision = Precision(config.precision, chosen)
    precision.place(network.module).eval()
    stored = weights.metadata.threshold if weights.metadata is not None else None
    return Model(
        config=config,
        classes=names,
        kind=task.kind,
        network=network,
        device=chosen,
        precision=precision,
        outcomes=_outcomes(config, task, network, names),
        threshold=config.eval_confidence if stored is None else stored,
    )


def _device(name: str | None) -> torch.device:
    if name is None:
        return best_device()
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InvalidInput("load", [Problem("device", f"{name!r} cannot be used here ({reason})")]) from error


def _known_config(weights: Weights, given: TrainingConfig | None, source: str) -> TrainingConfig:
    known = weights.metadata
    if known is None:
        if given is not None:
            return given
        raise ModelError(
            f"{source} has weights alone, without the config and the classes they were trained with, as another "
            "program or an older version of this one writes them. Give these, too: config and classes "
            "(mipredict --config CONFIG.json --classes labels.txt)."
        )
    if given is not None:
        if given.task_type != known.task_type:
            raise ModelError(f"{source} is of task_type {known.task_type}, but the config says {given.task_type}.")
        return given
    config, problems = check(TrainingConfig, known.config)
    if config is None or problems:
        raise ModelError(f"{source} has a config that cannot be read. Give one.") from InvalidInput(source, problems)
    return config


def _known_classes(weights: Weights, given: Sequence[str] | None, source: str) -> tuple[str, ...]:
    known = weights.metadata
    if given is None and known is None:
        raise ModelError(
            f"{source} does not name its classes. Give them in the order of the network's outputs "
            "(mipredict --classes labels.txt, or the training's data set)."
        )
    names = known.classes if given is None and known is not None else tuple(given or ())
    if known is not None and len(names) != len(known.classes):
        raise ModelError(f"{source} has {len(known.classes)} classes, but {len(names)} are given.")
    return names


def _outcomes(config: TrainingConfig, task: Task, network: Network, classes: tuple[str, ...]) -> Labelling | Boxing:
    if task.kind != "detection":
        return Labelling(config.task_type, classes)
    steps = steps_for(config.augmentation, task.kind, "val")
    if not is_fixed(steps):
        named = ", ".join(step.name for step in steps)
        raise ModelError(
            f"Boxes cannot be traced back to the original images through the weights' augmentation.val ({named}). "
            "Give a config with augmentation.val of resize, letterbox, center_crop or smallest_max_size only."
        )
    return Boxing(classes, validation_augmentation(config, network, task.kind))
