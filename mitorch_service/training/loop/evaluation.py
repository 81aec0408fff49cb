"""The evaluation of a network on a data set: once, or after each epoch of a training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from mitorch_service.errors import DataError, ModelError
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.training.augmentation.pipeline import Augmentation, build_augmentation, is_fixed, steps_for
from mitorch_service.training.data.class_order import in_class_order, listed
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.device import best_device
from mitorch_service.training.loop.distributed import Processes
from mitorch_service.training.loop.feed import Feed, open_feed
from mitorch_service.training.loop.learner import Learner
from mitorch_service.training.loop.reporter import NullReporter, Reporter
from mitorch_service.training.networks.fitting import load_all
from mitorch_service.training.networks.network import Network
from mitorch_service.training.networks.weights import StateDict, Weights, read_weights
from mitorch_service.training.optimization.precision import Precision
from mitorch_service.training.seeding import seed_everything
from mitorch_service.training.tasks.base import Evaluator, Task, build_for_weights, open_task
from mitorch_service.training.tasks.evaluated_images import EvaluatedImages


def evaluate(
    config: TrainingConfig,
    data: ImageList,
    weights: Path,
    *,
    reporter: Reporter | None = None,
    fast_dev_run: bool = False,
    plots: Path | None = None,
) -> dict[str, float]:
    """Returns ``val_loss`` and the metrics of `weights` on `data`, prepared as ``augmentation.val`` says; empty if the
    reporter asked to stop.

    Classes are matched by name if the weights know theirs; else `data` must number them as the training did.
    `fast_dev_run` evaluates one batch only. `plots` is a folder for pictures. Raises DataError, and ModelError unless
    the weights fit the config's network exactly.
    """
    reporter = reporter or NullReporter()
    seed_everything(config.seed)
    processes = Processes(device=best_device())
    read = read_weights(weights)
    data = _as_known(read, data.as_kind(open_task(config.task_type).kind), config, str(weights), reporter)
    task = task_for(config, data)
    network = build_for_weights(task, config.model, len(data.classes))
    load_all(network.module, read.state_dict, str(weights))
    precision = Precision(config.precision, processes.device)
    module = precision.place(network.module)
    at_most = 1 if fast_dev_run else None
    with open_feed(config, data, task, network, processes.device, training=False, at_most=at_most) as feed:
        validation = Validation(config, task, network, data, feed, processes, reporter)
        evaluator = validation.run(module, precision)
    if evaluator is None:
        return {}
    if plots is not None:
        validation.draw_last(plots)
    return validation.figures(evaluator)


def figures_of_test(evaluation: Mapping[str, float]) -> dict[str, float]:
    """Renames the figures of an evaluation to those of a test: ``val_loss`` to ``test_loss``, ``f1`` to ``test_f1``."""
    return {f"test_{name.removeprefix('val_')}": value for name, value in evaluation.items()}


def _as_known(weights: Weights, data: ImageList, config: TrainingConfig, source: str, reporter: Reporter) -> ImageList:
    """Returns the data with the classes in the order of the weights."""
    known = weights.metadata
    if known is None:
        if data.classes_named:
            reporter.note(
                f"{source} does not say in which order its classes are; they are taken as {data.name} numbers them: "
                f"{listed(data.classes)}."
            )
        return data
    if known.task_type != config.task_type:
        raise ModelError(
            f"The weights in {source} are of task_type {known.task_type}, but the config says {config.task_type}. "
            "Use the config they were trained with."
        )
    data, note = in_class_order(data, known.classes, named=known.classes_named, source=source)
    if note:
        reporter.note(note)
    return data


class Validation:
    """Evaluates one data set after each epoch; several processes share the work."""

    def __init__(
        self,
        config: TrainingConfig,
        task: Task,
        network: Network,
        data: ImageList,
        feed: Feed,
        processes: Processes,
        reporter: Reporter,
    ) -> None:
        self._config = config
        self._task = task
        self._network = network
        self._data = data
        self._feed = feed
        self._processes = processes
        self._reporter = reporter
        self._last: Evaluator | None = None
        self._order: list[int] = []  # of the images that the last evaluator was given

    def run(self, module: nn.Module, precision: Precision) -> Evaluator | None:
        """Evaluates the module; None if the reporter asked to stop. The first process's evaluator has the samples of
        all. Random augmentations are those of epoch 0, each time the same."""
        self._last = None  # frees its memory first
        evaluator = self._task.evaluator(self._network, self._data.classes, self._config, self._processes.device)
        module.eval()
        with torch.no_grad():
            for batch in self._feed.epoch(0):
                if self._processes.alone and self._reporter.should_stop():
                    return None
                with precision.autocast():
                    evaluator.update(module, precision.to_memory_format(batch))
        self._order = self._feed.delivered(0)
        if not self._processes.alone:
            states = self._processes.to_first((evaluator.state(), self._order))
            for state, order in (states or [])[1:]:
                evaluator.merge(state)
                self._order += order
        self._last = evaluator
        return evaluator

    def figures(self, evaluator: Evaluator) -> dict[str, float]:
        """``val_loss`` and the metrics, the same in every process."""
        own = {"val_loss": evaluator.loss(), **evaluator.metrics()} if self._processes.first else {}
        return self._processes.of_first(own)

    def draw(self, learner: Learner, weights: StateDict | None, folder: Path | None) -> list[Path]:
        """Draws the last evaluation, or one of `weights` if they are not the last ones; does nothing unless the first
        process has a folder."""
        if not self._processes.of_first(folder is not None):
            return []
        if weights is not None:
            learner.saved.load_state_dict(weights)
        if weights is not None or self._last is None:
            self.run(learner.saved, learner.precision)
        return self.draw_last(folder) if folder is not None else []

    def draw_last(self, folder: Path) -> list[Path]:
        """Draws the last evaluation, if there was one."""
        if self._last is None:
            return []
        folder.mkdir(parents=True, exist_ok=True)
        return self._last.plots(folder, EvaluatedImages(self._data, self._order, self._augmentation()))

    def _augmentation(self) -> Augmentation | None:
        """The transforms of the validation, if each image has one place in the network's input."""
        kind, size = self._data.kind, self._config.model.input_size
        steps = steps_for(self._config.augmentation, kind, "val")
        return build_augmentation(steps, size, self._network.mean, kind, training=False) if is_fixed(steps) else None


def task_for(config: TrainingConfig, data: ImageList) -> Task:
    """The config's task. Raises DataError if it does not fit the data, or if the data has no class."""
    task = open_task(config.task_type)
    if task.kind != data.kind:
        raise DataError(
            f"{data.name} is a {data.kind} set, but task_type {config.task_type} takes {task.kind} ones. "
            "Change task_type, or the labels."
        )
    if not data.classes:
        raise DataError(
            f"{data.name} has no box of any class: there is nothing to find. Name the classes in labels.txt beside it, "
            "or (mitest) by the training's data set."
        )
    return task
