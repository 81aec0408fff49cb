"""What a training tells the outside while it runs, and asks it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from mitorch_service.models.result import EpochResult


@dataclass(frozen=True)
class TrainingPlan:
    """What is about to run."""

    epochs: int
    steps_per_epoch: int
    train_images: int
    val_images: int
    classes: int
    parameters: int  # that are trained
    device: str  # as PyTorch writes it: "cuda:0", "cpu"


class Reporter(ABC):
    """Called from the training's thread, in the order of the methods below.

    What a method raises ends the training. The methods must be quick: the device waits for them.
    """

    @abstractmethod
    def training_started(self, plan: TrainingPlan) -> None:
        """Once, when everything is built and the first step is next."""

    @abstractmethod
    def step_ended(self, epoch: int, step: int, steps: int, loss: float) -> None:
        """After each step: `step` of `steps` in `epoch`, both from 1; `loss` is the batch's mean, on a
        GPU that of one of the last 50 steps: reading it takes a wait for the device."""

    @abstractmethod
    def epoch_ended(self, result: EpochResult) -> None:
        """After each epoch's validation, and for the epoch in which a loss stopped being finite."""

    @abstractmethod
    def note(self, text: str) -> None:
        """Something that a person should read, in one line; at any time."""

    @abstractmethod
    def should_stop(self) -> bool:
        """Asked before each step and each batch of a validation (of several processes: before every tenth step); once
        true, the training ends without an error."""


class NullReporter(Reporter):
    """Tells nobody; the training runs to its end."""

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
