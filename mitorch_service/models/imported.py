"""The origin of a training that another system ran."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mitorch_service.models.base import Document, UtcTime

Axis = Literal["epoch", "step"]


class ImportedFrom(Document):
    """The run of another system that a training was imported from. Nothing here can run such a training."""

    system: str  # mlflow, wandb, tensorboard, trackio or neptune
    run: str  # its id there
    project: str | None = None  # or experiment
    place: str  # the file or folder that it was read from
    imported_at: UtcTime
    axis: Axis = "epoch"  # step: the epochs of the curve only number its points, whose steps are a metric
    renamed: list[str] = Field(default_factory=list)  # metrics: "val/loss: val_loss"
    left_out: list[str] = Field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.system}, run {self.run}" + (f" of {self.project}" if self.project else "")
