"""What miquery shows of one training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import click

from mitorch_service.cli.views.base import View
from mitorch_service.cli.views.costs import cost_fields, cost_json, cost_of_training
from mitorch_service.cli.views.output import show_fields, show_table, stream_json
from mitorch_service.cli.views.paused_trials import pausing_fields, show_lineage
from mitorch_service.cli.views.script import script_fields
from mitorch_service.errors import BrokenDocument
from mitorch_service.models.result import EpochResult
from mitorch_service.models.script import shown
from mitorch_service.models.status import ENDED
from mitorch_service.models.training import Training
from mitorch_service.stores.base import Store

_METRICS_SHOWN = 5  # as columns of a curve; --json has all


class TrainingView(View):
    """One training: what it is, its attempts, its curve, how it ended."""

    def __init__(self, store: Store, id: str) -> None:
        self._store, self._id = store, id

    def show(self) -> bool:
        training = self._store.trainings.get_training(self._id)
        show_fields(_training_fields(training))
        if training.attempts:
            attempt_columns = ("attempt", "cluster", "queued", "started", "ended", "outcome", "reason")
            show_table("attempts", attempt_columns, [_attempt_row(attempt) for attempt in training.attempts])
        show_lineage(training)
        curve = self._store.runs.curve(self._id).items
        if curve:
            names = list(curve[0].metrics)[:_METRICS_SHOWN]
            columns = ("epoch", "train loss", "val loss", *names, "learning rate", "seconds", "images/s")
            show_table("curve", columns, [_epoch_row(result, names) for result in curve])
            for result in curve:
                if result.note is not None:
                    click.echo(f"epoch {result.epoch}: {result.note}")
        if training.error is not None:
            click.echo(f"\n{training.error.type}: {training.error.message}")
            for line in training.error.log_tail:
                click.echo(f"  {line}")
        return training.status in ENDED

    def show_json(self) -> None:
        training = self._store.trainings.get_training(self._id)
        document = {**training.to_document(), "config": shown(training.config)}
        fields = {**document, **cost_json(cost_of_training(training)), "curve": self._records()}
        stream_json(fields.items())

    def _records(self) -> Iterator[dict[str, Any]]:
        for record in self._store.runs.curve_records(self._id):
            with suppress(BrokenDocument):
                yield EpochResult.from_document(record).to_document()


def _training_fields(training: Training) -> list[tuple[str, Any]]:
    trial, refit = training.trial, training.refit
    parameters = trial.parameters if trial is not None else refit and refit.parameters
    return [
        ("training", training.id),
        ("name", training.name),
        ("tags", training.tags),
        ("status", training.status),
        ("priority", training.priority),
        ("dataset", training.dataset),
        ("job", training.job_id),
        ("trial", None if trial is None else trial.number),
        ("final training of", refit and refit.job_id),
        ("parameters", parameters),
        *pausing_fields(training),
        ("model", training.config.get("model", {}).get("name")),
        *script_fields(training.config),
        ("resources", training.resources and training.resources.model_dump(exclude_none=True)),
        *cost_fields(cost_of_training(training)),
        ("created", training.created_at),
        ("evaluation", training.evaluation),
        *((f"artifact {name}", address) for name, address in training.artifacts.items()),
    ]


def _attempt_row(attempt: Any) -> list[Any]:
    return [
        attempt.number,
        attempt.cluster,
        attempt.queued_at,
        attempt.started_at,
        attempt.ended_at,
        attempt.outcome,
        attempt.reason,
    ]


def _epoch_row(result: Any, names: list[str]) -> list[Any]:
    metrics = [result.metrics.get(name) for name in names]
    rest = [result.learning_rate, result.epoch_seconds, result.samples_per_second]
    return [result.epoch, result.train_loss, result.val_loss, *metrics, *rest]
