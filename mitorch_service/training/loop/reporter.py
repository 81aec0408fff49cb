"""The reports of a running training, and its question whether to stop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from mitorch_service.models.result import EpochResult


@dataclass(frozen=True)
class TrainingPlan:
    """The size of a training that is about to start."""

    epochs: int
    steps_per_epoch: int
    train_images: int
    val_images: int
    classes: int
    parameters: int  # trainable ones
    device: str  # in PyTorch's words: "cuda:0", "cpu"
    max_steps: int | None = None  # of a training by steps: the last epoch may have fewer than `steps_per_epoch`


class Reporter(ABC):
    """Receives the reports, in the training's thread and in the order of the methods below.

    An exception of a method ends the training. The methods must be quick: the device waits for them.
    """

    @abstractmethod
    def training_started(self, plan: TrainingPlan) -> None:
        """Called once, before the first step."""

    @abstractmethod
    def step_ended(self, epoch: int, step: int, steps: int, loss: float) -> None:
        """Called after each step: `step` of `steps` in `epoch`, both from 1. `loss` is the batch's mean; on a GPU it is
        up to 50 steps old, because reading it waits for the device."""

    @abstractmethod
    def epoch_ended(self, result: EpochResult) -> None:
        """Called after each epoch's validation, and for the epoch in which a loss was not finite."""

    @abstractmethod
    def note(self, text: str) -> None:
        """Called at any time with a line that a person should read."""

    @abstractmethod
    def should_stop(self) -> bool:
        """Called before each step and each validation batch (with several processes, before every tenth step); once it
        returns true, the training ends without an error."""


class NullReporter(Reporter):
    """Ignores every report and lets the training run to its end."""

    def training_started(self, plan: TrainingPlan) -> None:
        pass

    def step_ended(self, epoch: int, step: int, steps: int, loss: float) -> None:
        pass

    def epoch_ended(self, result: EpochResult) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def should_stop(self) -> bool:
        return False
