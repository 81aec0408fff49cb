"""The result of an epoch, reported by a training."""

from __future__ import annotations

from pydantic import Field

from mitorch_service.models.base import Document, UtcTime


class EpochResult(Document):
    """The result of an epoch. Losses may be NaN or infinite in the epoch in which a training diverges."""

    epoch: int  # counted from 1
    train_loss: float  # mean over the epoch's samples
    val_loss: float | None = None  # mean over the validation samples
    metrics: dict[str, float] = Field(default_factory=dict)  # of the validation set: top1_accuracy, ...
    learning_rate: float  # of the first parameter group, at the epoch's last step
    epoch_seconds: float  # training and validation
    samples_per_second: float  # in training, without validation
    finished_at: UtcTime
    note: str | None = None  # explains the curve to a reader, such as a lowered learning rate
