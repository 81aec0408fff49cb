"""The loss sums and the clock of an epoch's training part."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from mitorch_service.models.result import EpochResult
from mitorch_service.training.loop.checkpoints.checkpoint import State
from mitorch_service.training.state_values import count, number

_READ_EVERY = 50  # steps: reading a loss waits for the GPU to finish its queue
_REMEMBERED = 5  # finite losses, for the report of one that is not finite


class BadLoss(NamedTuple):
    """The first loss of an epoch that was not finite."""

    step: int  # from 0
    loss: float
    gradient_norm: float | None  # of the update of the weights before it, if it is known


class Sums(NamedTuple):
    """Losses times samples, and samples, of one process."""

    loss: float
    samples: int
    parts: dict[str, float]


class _Step(NamedTuple):
    """A step whose losses have not been read from the device."""

    number: int  # from 0
    loss: Tensor
    samples: int
    norm: Tensor | None
    parts: Mapping[str, Tensor]


class EpochProgress:
    """Sums the losses of an epoch's steps. On a GPU they are read in blocks, on a CPU one by one."""

    def __init__(self, number: int, device: torch.device, last_finite: list[float] | None = None) -> None:
        """`last_finite` are the last losses of the epoch before."""
        self._number = number
        self._every = 1 if device.type == "cpu" else _READ_EVERY
        self._start = time.perf_counter()
        self._seconds_before = 0.0  # spent on this epoch by interrupted attempts
        self._training_seconds = 0.0
        self._unread: list[_Step] = []
        self._loss_sum = 0.0
        self._part_sums: dict[str, float] = {}  # of a loss that is the sum of several
        self._samples = 0
        self.last_loss = math.nan
        self.rate = 0.0  # the learning rate
        self.last_finite = last_finite or []
        self.bad: BadLoss | None = None

    def add(
        self,
        step: int,
        loss: Tensor,
        samples: int,
        rate: float,
        norm: Tensor | None,
        parts: Mapping[str, Tensor] = MappingProxyType({}),
    ) -> None:
        """Adds the mean loss of a step's batch (a scalar tensor), its parts if it is a sum of several, and the gradient
        norm of the update before it."""
        self._unread.append(_Step(step, loss.detach(), samples, norm, parts))
        self._samples += samples
        self.rate = rate
        if len(self._unread) >= self._every or math.isnan(self.last_loss):  # the first at once: it is shown
            self.read()

    def read(self) -> None:
        """Updates `last_loss` and `bad`; waits for the device."""
        if not self._unread:
            return
        values = iter(torch.stack([one for step in self._unread for one in (step.loss, *step.parts.values())]).tolist())
        for step in self._unread:
            self._take(step.number, next(values), step.samples, step.norm)
            for name in step.parts:
                self._part_sums[name] = self._part_sums.get(name, 0.0) + next(values) * step.samples
        self._unread = []

    def training_done(self) -> None:
        self.read()
        self._training_seconds = self._elapsed()

    def sums(self) -> Sums:
        """The sums of the losses read so far."""
        return Sums(self._loss_sum, self._samples, self._part_sums)

    def set_sums(self, sums: Sequence[Sums]) -> None:
        """Replaces the sums by those of all processes together."""
        self._loss_sum = sum(one.loss for one in sums)
        self._samples = sum(one.samples for one in sums)
        self._part_sums = _added([one.parts for one in sums])

    def result(
        self,
        *,
        train_loss: float | None = None,
        evaluation: dict[str, float] | None = None,
        note: str | None = None,
        step: int | None = None,
    ) -> EpochResult:
        """The result of the epoch so far; `train_loss` replaces the mean loss. `step`: steps done, if they count."""
        metrics = dict(evaluation or {})
        seconds = self._elapsed()
        return EpochResult(
            epoch=self._number,
            step=step,
            losses={name: value / self._samples for name, value in self._part_sums.items()},
            train_loss=self._loss_sum / self._samples if train_loss is None else train_loss,
            val_loss=metrics.pop("val_loss", None),
            metrics=metrics,
            learning_rate=self.rate,
            epoch_seconds=seconds,
            samples_per_second=self._samples / (self._training_seconds or seconds),
            finished_at=datetime.now(UTC),
            note=note,
        )

    def state_dict(self) -> State:
        """The state of an unfinished epoch."""
        self.read()
        return {
            "loss_sum": self._loss_sum,
            "part_sums": self._part_sums,
            "samples": self._samples,
            "rate": self.rate,
            "seconds": self._elapsed(),
            "last_finite": self.last_finite,
        }

    def load_state_dict(self, state: State) -> None:
        self._loss_sum = number(state, "loss_sum")
        self._part_sums = dict(state.get("part_sums", {}))
        self._samples = count(state, "samples")
        self.rate = number(state, "rate", least=0)
        self._seconds_before = number(state, "seconds", least=0)
        self.last_finite = list(state["last_finite"])

    def load_sums(self, states: list[State]) -> None:
        """Adds up the sums of several processes."""
        self._loss_sum = sum(state["loss_sum"] for state in states)
        self._part_sums = _added([state.get("part_sums", {}) for state in states])
        self._samples = sum(state["samples"] for state in states)
        self.rate = states[0]["rate"]
        self._seconds_before = states[0]["seconds"]

    def _take(self, step: int, loss: float, samples: int, norm: Tensor | None) -> None:
        self.last_loss = loss
        self._loss_sum += loss * samples
        if math.isfinite(loss):
            self.last_finite = [*self.last_finite, loss][-_REMEMBERED:]
        elif self.bad is None:
            self.bad = BadLoss(step, loss, None if norm is None else norm.item())

    def _elapsed(self) -> float:
        return self._seconds_before + time.perf_counter() - self._start


def _added(parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for one in parts for name in one)
    return {name: sum(one.get(name, 0.0) for one in parts) for name in names}
