"""What a training reports at the end of each epoch."""

from __future__ import annotations

from pydantic import Field

from mitorch_service.models.base import Document, UtcTime


class EpochResult(Document):
    """One epoch. Losses may be NaN or infinite (the epoch in which a training diverged)."""

    epoch: int  # 1 is the first
    train_loss: float  # mean over the epoch's samples
    val_loss: float | None = None  # mean over the validation samples, after the epoch
    metrics: dict[str, float] = Field(default_factory=dict)  # of the validation set: top1_accuracy, ...
    learning_rate: float  # of the first parameter group, at the epoch's last step
    epoch_seconds: float  # training and validation
    samples_per_second: float  # of the training part
    finished_at: UtcTime
    note: str | None = None  # what a reader of the curve should know of it: that the learning rate was lowered
