"""Prints one training (`miquery ID`)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import click

from mitorch_service.cli.views.base import View
from mitorch_service.cli.views.cost import cost_fields, cost_json
from mitorch_service.cli.views.output import show_fields, show_table, stream_json
from mitorch_service.cli.views.paused_trials import pausing_fields, show_lineage
from mitorch_service.cli.views.script import script_fields
from mitorch_service.models.result import EpochResult
from mitorch_service.models.script import masked_config
from mitorch_service.models.training import Attempt
from mitorch_service.reports.training import TrainingReport, read_curve, read_training
from mitorch_service.stores.base import Store

_METRICS_SHOWN = 5  # as columns of a curve; --json has all


class TrainingView(View):
    """One training: its fields, attempts, curve and error."""

    def __init__(self, store: Store, id: str) -> None:
        self._store = store
        self._id = id

    def show(self) -> bool:
        report = read_training(self._store, self._id, datetime.now(UTC))
        training = report.training
        show_fields(_training_fields(report))
        _show_attempts(training.attempts)
        show_lineage(training)
        _show_curve(list(read_curve(self._store, self._id)))
        if training.error is not None:
            click.echo(f"\n{training.error.type}: {training.error.message}")
            for line in training.error.log_tail:
                click.echo(f"  {line}")
        return report.has_ended

    def show_json(self) -> None:
        report = read_training(self._store, self._id, datetime.now(UTC))
        document = {**report.training.to_document(), "config": masked_config(report.training.config)}
        curve = (result.to_document() for result in read_curve(self._store, self._id))
        stream_json({**document, **cost_json(report.cost), "curve": curve}.items())


def _training_fields(report: TrainingReport) -> list[tuple[str, object]]:
    training = report.training
    trial = training.trial
    refit = training.refit
    parameters = trial.parameters if trial is not None else refit and refit.parameters
    return [
        ("training", training.id),
        ("name", training.name),
        ("tags", training.tags),
        ("user note", training.user_note),
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
        *cost_fields(report.cost),
        ("created", training.created_at),
        ("evaluation", training.evaluation),
        *((f"artifact {name}", address) for name, address in training.artifacts.items()),
    ]


def _show_attempts(attempts: Sequence[Attempt]) -> None:
    columns = ("attempt", "cluster", "queued", "started", "ended", "outcome", "reason")
    if attempts:
        show_table("attempts", columns, [_attempt_row(attempt) for attempt in attempts])


def _show_curve(curve: list[EpochResult]) -> None:
    if not curve:
        return
    names = list(curve[0].metrics)[:_METRICS_SHOWN]
    columns = ("epoch", "train loss", "val loss", *names, "learning rate", "seconds", "images/s")
    show_table("curve", columns, [_epoch_row(result, names) for result in curve])
    for result in curve:
        if result.note is not None:
            click.echo(f"epoch {result.epoch}: {result.note}")


def _attempt_row(attempt: Attempt) -> list[object]:
    return [
        attempt.number,
        attempt.cluster,
        attempt.queued_at,
        attempt.started_at,
        attempt.ended_at,
        attempt.outcome,
        attempt.reason,
    ]


def _epoch_row(result: EpochResult, names: list[str]) -> list[object]:
    metrics = [result.metrics.get(name) for name in names]
    rest = [result.learning_rate, result.epoch_seconds, result.samples_per_second]
    return [result.epoch, result.train_loss, result.val_loss, *metrics, *rest]
