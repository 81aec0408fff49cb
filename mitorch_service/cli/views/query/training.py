"""Shows one training (`miquery ID`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from mitorch_service.cli.views.pages.page import Block, Column, Fields, Lines, Page, Table
from mitorch_service.cli.views.query.base import View
from mitorch_service.cli.views.query.inheritance import lineage_tables
from mitorch_service.insights.cost import cost_json
from mitorch_service.insights.training.training import read_curve, read_training
from mitorch_service.insights.training.training_fields import measured_metrics, training_fields
from mitorch_service.insights.waiting.remaining import training_remaining
from mitorch_service.models.config.script import masked_config
from mitorch_service.models.result import EpochResult
from mitorch_service.models.status import ENDED
from mitorch_service.models.training import Attempt, Training
from mitorch_service.stores.base import Store

_ATTEMPT_COLUMNS = (
    Column("attempt"),
    Column("cluster", 2, 10),
    Column("queued", 5),
    Column("started", 4),
    Column("ended", 3),
    Column("outcome"),
    Column("reason", 1, wraps=True),
)


class TrainingView(View):
    """One training: its fields, attempts, curve and error."""

    def __init__(self, store: Store, id: str) -> None:
        self._store = store
        self._id = id

    def read(self) -> Page:
        now = datetime.now(UTC)
        report = read_training(self._store, self._id, now)
        training = report.training
        curve = list(read_curve(self._store, self._id))
        blocks: list[Block] = [
            Fields(training_fields(report, now)),
            *_attempt_tables(training.attempts),
            *lineage_tables(training),
            *_curve_blocks(training, curve),
            *_error_lines(training),
        ]
        return Page(blocks, report.has_ended)

    def has_ended(self) -> bool:
        return self._store.trainings.get_training(self._id).status in ENDED

    def fields(self) -> Iterable[tuple[str, object]]:
        now = datetime.now(UTC)
        report = read_training(self._store, self._id, now)
        remaining = training_remaining(report.training, now)
        document = {**report.training.to_document(), "config": masked_config(report.training.config)}
        document["remaining_seconds"] = remaining and round(remaining.total_seconds())
        curve = (result.to_document() for result in read_curve(self._store, self._id))
        return {**document, **cost_json(report.cost), "curve": curve}.items()


def _attempt_tables(attempts: Sequence[Attempt]) -> list[Table]:
    rows = [_attempt_row(attempt) for attempt in attempts]
    return [Table("attempts", _ATTEMPT_COLUMNS, rows, keep="last", most=3)] if rows else []


def _curve_blocks(training: Training, curve: Sequence[EpochResult]) -> list[Block]:
    """The curve, the objective of a trial first among its metrics, and the notes on its epochs."""
    if not curve:
        return []
    ordered = measured_metrics(training, curve)
    by_steps = training.max_steps is not None
    parts = list(dict.fromkeys(name for result in curve for name in result.losses))
    columns = [Column("epoch"), *([Column("step")] if by_steps else []), Column("train loss", 1), Column("val loss", 1)]
    columns += [Column(name, 2 + number) for number, name in enumerate(ordered)]
    columns += [Column(name, 1000 + number) for number, name in enumerate(("learning rate", "seconds", "images/s"))]
    columns += [Column(name, 2000 + number) for number, name in enumerate(f"{part} loss" for part in parts)]
    notes = [f"epoch {result.epoch}: {result.note}" for result in curve if result.note is not None]
    rows = [_epoch_row(result, ordered, parts, by_steps) for result in curve]
    return [Table("curve", columns, rows, keep="thinned"), *([Lines(notes)] if notes else [])]


def _error_lines(training: Training) -> list[Lines]:
    error = training.error
    if error is None:
        return []
    message = f"{error.type}: {error.message}".splitlines()
    return [Lines(["", *message[:1], *(f"  {line}" for line in [*message[1:], *error.log_tail])])]


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


def _epoch_row(result: EpochResult, names: Sequence[str], parts: Sequence[str], by_steps: bool) -> list[object]:
    metrics = [result.metrics.get(name) for name in names]
    rest = [result.learning_rate, result.epoch_seconds, result.samples_per_second]
    rest += [result.losses.get(part) for part in parts]
    step = [result.step] if by_steps else []
    return [result.epoch, *step, result.train_loss, result.val_loss, *metrics, *rest]
