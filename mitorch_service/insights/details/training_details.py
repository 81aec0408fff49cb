"""One training as programs read it: from the API, or from the Python client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from mitorch_service.controller.observe.cost import training_cost
from mitorch_service.errors import BrokenDocument
from mitorch_service.insights.details.values import Detail, Number, Time, masked
from mitorch_service.insights.waiting.remaining import training_remaining
from mitorch_service.models.config.script import masked_config
from mitorch_service.models.result import EpochResult
from mitorch_service.models.status import ENDED, TrainingStatus
from mitorch_service.models.training import Attempt, Training
from mitorch_service.stores.base import Store


class AttemptDetails(Detail):
    """One launch on a cluster."""

    number: int = Field(description="Counted from 1.")
    cluster: str = Field(description="The cluster's name in MITORCH_CLUSTERS.")
    queued_at: Time = Field(description="When a pass assigned it.")
    started_at: Time | None = Field(description="When its process reported; null before.")
    ended_at: Time | None = Field(description="Null while it goes on.")
    outcome: str | None = Field(description="How it ended: completed, failed, lost, refused, blocked, …")
    reason: str | None = Field(description="Why, in words.")
    url: str | None = Field(description="Where a person can view the run.")


class ErrorDetails(Detail):
    """Why a training failed."""

    type: str = Field(description="The kind of the error.")
    message: str = Field(description="The error in words.")
    log_tail: list[str] = Field(description="The last lines of the log.")


class OriginDetails(Detail):
    """The run of another system that an imported training was."""

    system: str = Field(description="mlflow, wandb, tensorboard, trackio or neptune.")
    run: str = Field(description="Its id there.")
    project: str | None = Field(description="Or experiment.")
    place: str = Field(description="The file or folder that it was read from.")
    imported_at: Time = Field(description="When it was imported.")
    axis: str = Field(description="step: the epochs only number the points of the curve, whose steps are a metric.")
    renamed: list[str] = Field(description="Metrics with another name there: name, colon, name here.")
    left_out: list[str] = Field(description="What it had and is not here.")


class TrainingDetails(Detail):
    """A training."""

    kind: Literal["training"] = "training"
    id: str = Field(description="A GUID.")
    status: TrainingStatus = Field(description="Where it is in its life.")
    name: str | None = Field(description="Given by a person.")
    note: str | None = Field(description="Written by a person.")
    tags: list[str] = Field(description="Each KEY=VALUE.")
    priority: int = Field(description="Lower starts first.")
    submitted_by: str | None = Field(description="A person's name.")
    dataset: str = Field(description="NAME:VERSION; - for a script without one.")
    job: str | None = Field(description="The id of the search that it belongs to.")
    trial: int | None = Field(description="Its number in the search, from 0.")
    parameters: dict[str, Any] | None = Field(description="What the search drew for it.")
    created_at: Time = Field(description="When it was submitted.")
    started_at: Time | None = Field(description="When its last attempt started.")
    ended_at: Time | None = Field(description="When it ended; null before.")
    epoch: int = Field(description="Epochs that are done.")
    max_epochs: int = Field(description="Epochs in all; 0: not known.")
    step: int | None = Field(None, description="Steps that are done, of a training by steps.")
    max_steps: int | None = Field(None, description="Steps in all, of a training by steps.")
    train_loss: Number | None = Field(description="Of the last epoch.")
    val_loss: Number | None = Field(description="Of the last epoch.")
    metrics: dict[str, Number] = Field(description="Of the last epoch.")
    evaluation: dict[str, Number] | None = Field(description="Of a completed one.")
    remaining_seconds: float | None = Field(description="Estimated, while it runs.")
    node_hours: float = Field(description="Of all attempts until now.")
    cost: float = Field(description="In the currency of the clusters' prices.")
    error: ErrorDetails | None = Field(description="Why it failed.")
    attempts: list[AttemptDetails] = Field(description="All launches.")
    artifacts: dict[str, str] = Field(description="Name and address of each file, credentials masked.")
    config: dict[str, Any] = Field(description="As it was submitted, credentials masked.")
    imported_from: OriginDetails | None = Field(None, description="Set if another system ran it.")

    @property
    def has_ended(self) -> bool:
        """Whether it will not change any more by itself."""
        return self.status in ENDED


class EpochDetails(Detail):
    """One epoch of a curve."""

    epoch: int = Field(description="Counted from 1.")
    step: int | None = Field(None, description="Steps done at its end, of a training by steps.")
    losses: dict[str, Number] = Field({}, description="The parts of train_loss, if it is the sum of several.")
    train_loss: Number | None = Field(description="Null where it was not measured.")
    val_loss: Number | None = Field(description="Null where it was not measured.")
    metrics: dict[str, Number] = Field(description="By name.")
    learning_rate: Number | None = Field(description="At the end of the epoch.")
    epoch_seconds: Number | None = Field(description="That the epoch took.")
    samples_per_second: Number | None = Field(description="Null where it is not known.")
    finished_at: Time | None = Field(description="When the epoch ended.")


class CurveDetails(Detail):
    """The curve of a training, or a part of it."""

    id: str = Field(description="The training's.")
    epochs: list[EpochDetails] = Field(description="In order, as far as they can be read.")
    more: bool = Field(description="Whether further epochs are recorded: ask again with `after` the last of these.")


def training_details(store: Store, training_id: str, now: datetime) -> TrainingDetails:
    """Reads a training. Raises NotFound, BrokenDocument."""
    training = store.trainings.get_training(training_id)
    cost = training_cost(training.attempts, now)
    remaining = training_remaining(training, now)
    progress = training.progress
    fields = {
        **training.model_dump(include={"id", "status", "name", "tags", "priority", "submitted_by", "created_at"}),
        "note": training.user_note,
        "dataset": str(training.dataset),
        "job": training.belongs_to,
        "trial": training.trial.number if training.trial else None,
        "parameters": _parameters(training),
        "started_at": _started(training),
        "ended_at": training.status_times.get(training.status) if training.status in ENDED else None,
        "epoch": progress.epoch if progress else 0,
        "max_epochs": training.max_epochs,
        "step": progress.step if progress else None,
        "max_steps": training.max_steps,
        "train_loss": progress.train_loss if progress else None,
        "val_loss": progress.val_loss if progress else None,
        "metrics": progress.metrics if progress else {},
        "evaluation": training.evaluation,
        "remaining_seconds": round(remaining.total_seconds()) if remaining else None,
        "node_hours": cost.node_hours,
        "cost": cost.cost,
        "error": training.error.model_dump() if training.error else None,
        "attempts": [_attempt(attempt) for attempt in training.attempts],
        "artifacts": training.artifacts,
        "config": masked_config(training.config),
        "imported_from": training.imported_from.model_dump() if training.imported_from else None,
    }
    return TrainingDetails.model_validate(masked(fields))


def curve_details(store: Store, training_id: str, after: int, limit: int) -> CurveDetails:
    """Reads at most `limit` epochs after that one. Raises NotFound."""
    epochs: list[EpochDetails] = []
    for result in _results(store, training_id, after):
        if len(epochs) == limit:
            return CurveDetails(id=training_id, epochs=epochs, more=True)
        epochs.append(EpochDetails.model_validate(masked(result.model_dump())))
    return CurveDetails(id=training_id, epochs=epochs, more=False)


def _results(store: Store, training_id: str, after: int) -> Iterator[EpochResult]:
    for record in store.runs.curve_records(training_id, after):
        with suppress(BrokenDocument):
            yield EpochResult.from_document(record)


def _attempt(attempt: Attempt) -> dict[str, object]:
    return attempt.model_dump(include=set(AttemptDetails.model_fields))


def _parameters(training: Training) -> dict[str, Any] | None:
    if training.trial is not None:
        return training.trial.parameters
    return training.refit.parameters if training.refit else None


def _started(training: Training) -> datetime | None:
    if training.imported_from is not None:
        return training.created_at
    attempt = training.current_attempt()
    return attempt.started_at if attempt else None
