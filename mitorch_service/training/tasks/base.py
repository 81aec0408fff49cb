"""The contract of a task: it defines its networks, its batches, its loss and its metrics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.models.config.training_config import ModelConfig, TrainingConfig
from mitorch_service.training.data.batches.batch import Batch, Sample
from mitorch_service.training.data.targets import Kind
from mitorch_service.training.networks.downloads import no_downloads
from mitorch_service.training.networks.network import Network
from mitorch_service.training.plugins import load_plugin
from mitorch_service.training.tasks.evaluated_images import EvaluatedImages
from mitorch_service.training.tasks.task_names import BUILT_IN, TASKS_GROUP, unknown_task_problem


class Evaluator(ABC):
    """Collects the outputs of one pass over a data set, then computes loss, metrics and plots from all of them.

    In distributed training each process evaluates a shard of the data; one process then merges the others' `state`.
    """

    @abstractmethod
    def update(self, module: nn.Module, batch: Batch) -> None:
        """Runs the module on a batch; both are on the same device. Called without gradients.

        The module is in evaluation mode before and after. Leaves the training's random generators untouched.
        """

    @abstractmethod
    def loss(self) -> float:
        """Returns the mean of the task's `loss` over all samples, without label smoothing; NaN without samples."""

    @abstractmethod
    def metrics(self) -> dict[str, float]:
        """Returns the metrics that `models.config.metrics_for` lists for the task; all NaN without samples, or if an
        output was not finite."""

    @abstractmethod
    def per_class(self) -> dict[str, dict[str, float]]:
        """Returns the metrics of each class, by class name; NaN where a class has no samples."""

    @abstractmethod
    def plots(self, folder: Path, images: EvaluatedImages) -> list[Path]:
        """Writes PNG files, a ``per_class.csv`` and a ``predictions.csv`` into an existing folder; returns their paths.
        `images` are the samples, in their order.

        Raises MissingExtra if matplotlib is not installed.
        """

    @abstractmethod
    def state(self) -> Any:
        """Returns everything collected, picklable and in main memory, for `merge` in another process."""

    @abstractmethod
    def merge(self, state: Any) -> None:
        """Appends the samples of another evaluator of the same task and classes, given its `state`."""


class Task(ABC):
    """A kind of training, such as detection. Stateless: one instance may serve any number of trainings."""

    name: str  # as in the config's `task_type`
    kind: Kind  # the data sets that it accepts

    @abstractmethod
    def build_network(self, config: ModelConfig, classes: int) -> Network:
        """Builds a network with random initial weights (torch's generator) or downloaded pretrained weights; a
        pretrained head for another number of classes is dropped.

        Raises ModelError if the name, options or input size cannot be built or the weights cannot be downloaded.
        """

    @abstractmethod
    def collate(self, samples: Sequence[Sample], classes: int) -> Batch:
        """Builds a batch from the samples; called in a data loader process."""

    @abstractmethod
    def loss(self, module: nn.Module, batch: Batch, config: TrainingConfig) -> Tensor:
        """Returns the batch's mean loss, a scalar. The module is in training mode, perhaps wrapped (DDP, compiled)."""

    def losses(self, module: nn.Module, batch: Batch, config: TrainingConfig) -> dict[str, Tensor]:
        """Returns the parts whose sum `loss` is, by name; a task with one loss need not define it."""
        return {"loss": self.loss(module, batch, config)}

    @abstractmethod
    def evaluator(
        self, network: Network, classes: Sequence[str], config: TrainingConfig, device: torch.device
    ) -> Evaluator:
        """Returns a new evaluator for one pass. Uses only the network's colour statistics, not its weights."""


def build_for_weights(task: Task, config: ModelConfig, classes: int) -> Network:
    """Builds a network that weights are to be loaded into: downloads none, and leaves torch's generator untouched.
    Raises ModelError."""
    with torch.random.fork_rng(devices=[]), no_downloads():
        return task.build_network(config, classes)


def sum_of_losses(parts: Mapping[str, Tensor]) -> Tensor:
    """Returns the sum of a loss's parts, each a scalar tensor."""
    values = list(parts.values())
    return values[0] if len(values) == 1 else torch.stack(values).sum()


def open_task(task_type: str) -> Task:
    """Returns the task of this name: built in, or registered by an installed package under ``mitorch_service.tasks``.

    Raises InvalidInput for an unknown name.
    """
    if problem := unknown_task_problem(task_type):
        raise InvalidInput("config", [Problem("task_type", problem)])
    if task_type in BUILT_IN:
        module, _, name = BUILT_IN[task_type].partition(":")
        built: Task = getattr(import_module(module), name)()
        return built
    made: Task = load_plugin(TASKS_GROUP, task_type)()
    return made
