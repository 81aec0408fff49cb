"""What kinds of work the engine can do: each task knows its networks, its batches, its loss and its figures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.models.config import ModelConfig, TrainingConfig
from mitorch_service.training.data.batch import Batch, Sample
from mitorch_service.training.data.targets import Kind
from mitorch_service.training.networks.network import Network
from mitorch_service.training.plugins import load_plugin
from mitorch_service.training.tasks.task_names import BUILT_IN, TASKS_GROUP, unknown_task_problem


class Evaluator(ABC):
    """The figures of one pass over a data set. Batches come in, then it computes.

    Several processes each take a share: then one merges what the others' `state` gives.
    """

    @abstractmethod
    def update(self, module: nn.Module, batch: Batch) -> None:
        """Runs the module, which is in evaluation mode and is left in it, on a batch; both are on one device.

        Called without gradients. Draws no numbers from the random generators that the training uses.
        """

    @abstractmethod
    def loss(self) -> float:
        """The mean loss over all samples, as the task's `loss` without label smoothing; NaN without any."""

    @abstractmethod
    def metrics(self) -> dict[str, float]:
        """What `models.config.METRICS` names for the task: NaN without samples, or if an output was not finite."""

    @abstractmethod
    def per_class(self) -> dict[str, dict[str, float]]:
        """Figures of each class, by its name; NaN for what a class without samples has not."""

    @abstractmethod
    def plots(self, folder: Path) -> list[Path]:
        """Draws PNG files into a folder that exists, and a ``per_class.csv``; returns what it wrote.

        Needs matplotlib: raises MissingExtra where it is not installed.
        """

    @abstractmethod
    def state(self) -> Any:
        """All that was collected, in main memory, to be pickled: what `merge` of another process takes."""

    @abstractmethod
    def merge(self, state: Any) -> None:
        """Adds the samples of another evaluator of the same task and classes."""


class Task(ABC):
    """One kind of work. Without state: an instance may serve any number of trainings."""

    name: str  # as in the config's `task_type`
    kind: Kind  # of the data sets that it takes

    @abstractmethod
    def build_network(self, config: ModelConfig, classes: int) -> Network:
        """Draws initial weights from torch's generator, or downloads pretrained ones (without a head that differs).

        Raises ModelError for a name, options or input size that cannot be built, or weights that it cannot get.
        """

    @abstractmethod
    def collate(self, samples: Sequence[Sample], classes: int) -> Batch:
        """One batch of the samples, in a loading process."""

    @abstractmethod
    def loss(self, module: nn.Module, batch: Batch, config: TrainingConfig) -> Tensor:
        """The batch's mean loss, a scalar; the module is in training mode, and may be wrapped (DDP, compiled)."""

    @abstractmethod
    def evaluator(
        self, network: Network, classes: Sequence[str], config: TrainingConfig, device: torch.device
    ) -> Evaluator:
        """A new one, for one pass. Of the network it takes the colours, not the weights."""


def open_task(task_type: str) -> Task:
    """The task of this name: ours, or one that an installed package registers under ``mitorch_service.tasks``.

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
