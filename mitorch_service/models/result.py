"""The result of an epoch, reported by a training."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import BeforeValidator, Field

from mitorch_service.models.base import Document, UtcTime


def _is_empty(value: object) -> bool:
    return not value


def _known(value: object) -> object:
    """Up to version 0.1 a rate that a script does not report was stored as NaN."""
    return None if isinstance(value, float) and math.isnan(value) else value


Rate = Annotated[float | None, BeforeValidator(_known)]  # None: not reported, as by scripts


class EpochResult(Document):
    """The result of an epoch. Losses may be NaN or infinite in the epoch in which a training diverges."""

    epoch: int  # counted from 1
    step: int | None = Field(None, exclude_if=_is_empty)  # steps done at its end, of a training by steps
    train_loss: float | None  # mean over the epoch's samples; None: a script did not report it
    losses: dict[str, float] = Field(default_factory=dict, exclude_if=_is_empty)  # the parts of train_loss, if it is
    # the sum of several: a detector's objectness, rpn_box_reg, classifier, box_reg
    val_loss: float | None = None  # mean over the validation samples
    metrics: dict[str, float] = Field(default_factory=dict)  # of the validation set: top1_accuracy, ...
    learning_rate: Rate = None  # of the first parameter group, at the epoch's last step
    epoch_seconds: Rate = None  # training and validation
    samples_per_second: Rate = None  # in training, without validation
    finished_at: UtcTime

    def part_losses(self) -> dict[str, float]:
        """Returns the parts of the training loss, by the names that charts and tables give them."""
        return {f"loss_{name}": value for name, value in self.losses.items()}

    note: str | None = None  # explains the curve to a reader, such as a lowered learning rate
