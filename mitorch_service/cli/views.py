"""What miquery shows: the queue, a training or a job, each read anew whenever it is shown."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import click

from mitorch_service.cli.costs import accounts_of_job, cost_fields, cost_json, cost_of_job, cost_of_training
from mitorch_service.cli.final_training import FinalTraining
from mitorch_service.cli.front_view import front_json, show_front
from mitorch_service.cli.output import show_fields, show_table, stream_json, text
from mitorch_service.cli.parts_view import counts_text, part_fields, rung_fields, show_lineage
from mitorch_service.cli.script_view import script_fields
from mitorch_service.cli.search_insight import SearchInsight
from mitorch_service.errors import BrokenDocument, NotAllowed
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.job import Job
from mitorch_service.models.result import EpochResult
from mitorch_service.models.script import shown
from mitorch_service.models.status import ACTIVE_JOBS, ENDED, TrainingStatus
from mitorch_service.models.training import Training, TrainingRow, epochs_text
from mitorch_service.stores.base import Store
from mitorch_service.stores.browse import TrainingFilter

_METRICS_SHOWN = 5  # as columns of a curve; --json has all


class View(ABC):
    """Something that can be shown once, or again and again until it has ended."""

    @abstractmethod
    def show(self) -> bool:
        """Prints it; returns whether it will not change any more."""

    @abstractmethod
    def show_json(self) -> None:
        """Prints it as one JSON document."""


class QueueView(View):
    """The newest trainings that fit a filter, and how many there are in each status."""

    def __init__(self, store: Store, filter: TrainingFilter, limit: int) -> None:
        self._store, self._filter, self._limit = store, filter, limit

    def show(self) -> bool:
        listing = self._store.list_trainings(self._filter, self._limit)
        columns = (
            "id",
            "status",
            "priority",
            "dataset",
            "name",
            "job",
            "epoch",
            "val loss",
            "result",
            "created",
        )
        show_table("trainings, newest first", columns, [_row(training) for training in listing.items])
        for broken in listing.broken:
            click.echo(str(broken), err=True)
        counts = self._store.count_trainings(self._filter.job_id)
        click.echo(", ".join(f"{counts[s]} {s}" for s in map(str, TrainingStatus) if s in counts) or "nothing queued")
        return False

    def show_json(self) -> None:
        stream_json(self._json_fields())

    def _json_fields(self) -> Iterator[tuple[str, Any]]:
        broken: list[BrokenDocument] = []
        yield "trainings", self._documents(broken)
        yield "counts", self._store.count_trainings(self._filter.job_id)
        yield "unreadable", [{"id": str(one.key), "reason": one.reason} for one in broken]

    def _documents(self, broken: list[BrokenDocument]) -> Iterator[dict[str, Any]]:
        for row in self._store.iterate_trainings(self._filter, self._limit):
            if isinstance(row, BrokenDocument):
                broken.append(row)
            else:
                yield row.to_document()


class TrainingView(View):
    """One training: what it is, its attempts, its curve, how it ended."""

    def __init__(self, store: Store, id: str) -> None:
        self._store, self._id = store, id

    def show(self) -> bool:
        training = self._store.get_training(self._id)
        show_fields(_training_fields(training))
        if training.attempts:
            attempt_columns = ("attempt", "cluster", "queued", "started", "ended", "outcome", "reason")
            show_table("attempts", attempt_columns, [_attempt_row(attempt) for attempt in training.attempts])
        show_lineage(training)
        curve = self._store.curve(self._id).items
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
        training = self._store.get_training(self._id)
        document = {**training.to_document(), "config": shown(training.config)}
        fields = {**document, **cost_json(cost_of_training(training)), "curve": self._records()}
        stream_json(fields.items())

    def _records(self) -> Iterator[dict[str, Any]]:
        for record in self._store.curve_records(self._id):
            with suppress(BrokenDocument):
                yield EpochResult.from_document(record).to_document()


class JobView(View):
    """One job: how far it is, the best trial, the leaderboard."""

    def __init__(self, store: Store, id: str, limit: int) -> None:
        self._store, self._id, self._limit = store, id, limit

    def show(self) -> bool:
        job = self._store.get_job(self._id)
        counts = self._store.count_trainings(self._id)
        several, final = len(job.search.objectives()) > 1, FinalTraining(self._store, job)
        accounts = accounts_of_job(self._store, job.id, job.arrival, sum(counts.values()))
        show_fields(
            [
                ("job", job.id),
                ("name", job.name),
                ("tags", job.tags),
                ("status", job.status),
                ("priority", job.priority),
                ("dataset", job.dataset),
                *script_fields(job.config),
                ("search", f"{job.search.algorithm}, {job.search.goal()}"),
                ("trials", f"{sum(counts.values())} of {job.search.max_trials}: {counts_text(job, counts)}"),
                *rung_fields(self._store, job),
                *([] if several else self._best_fields(job)),
                *final.fields(),
                ("budget", job.search.max_cost),
                *cost_fields(cost_of_job(accounts, final.training)),
                ("created", job.created_at),
                ("error", job.error),
                ("note", job.note),
                *((f"artifact {name}", address) for name, address in job.artifacts.items()),
                *SearchInsight(self._store, job, accounts).fields(),
            ]
        )
        if several:
            show_front(self._store, job, self._limit)
        else:
            self._show_leaders(job)
        return job.status not in ACTIVE_JOBS

    def show_json(self) -> None:
        job = self._store.get_job(self._id)
        counts = self._store.count_trainings(self._id)
        accounts = accounts_of_job(self._store, job.id, job.arrival, sum(counts.values()))
        insight, final = SearchInsight(self._store, job, accounts), FinalTraining(self._store, job)
        importance: dict[str, Any]
        if len(job.search.objectives()) > 1:
            importance, board = insight.importances(), front_json(self._store, job, self._limit)
        else:
            leaders = self._store.iterate_best_trials(job.id, job.search.resolved_direction(), self._limit)
            importance, board = insight.importance(), {"leaderboard": (row.to_document() for row in leaders)}
        found = {"importance": importance, "seen": insight.seen(), "effort": insight.effort.json()}
        cost = cost_json(cost_of_job(accounts, final.training))
        document = {**job.to_document(), "config": shown(job.config), **found, "final_training": final.json()}
        stream_json({**document, "counts": counts, **cost, **board}.items())

    def _best_fields(self, job: Job) -> list[tuple[str, Any]]:
        best = self._leaders(1)
        return [
            ("best", best[0].trial.value if best and best[0].trial else job.best and job.best.value),
            ("best trial", best[0].id if best else job.best and job.best.training_id),
        ]

    def _show_leaders(self, job: Job) -> None:
        leaders = self._leaders(self._limit)
        names = list(dict.fromkeys(n for row in leaders if row.trial for n in row.trial.parameters))
        columns = ("rank", *job.search.objectives(), "trial", "id", "epochs", *names)
        show_table("leaderboard", columns, [_leader_row(i, row, names) for i, row in enumerate(leaders, 1)])

    def _leaders(self, limit: int) -> list[TrainingRow]:
        direction = self._store.get_job(self._id).search.resolved_direction()
        return self._store.best_trials(self._id, direction, limit).items


def open_view(
    store: Store,
    id: str | None,
    status: str | None,
    job: str | None,
    dataset: str | None,
    tag: str | None,
    limit: int,
) -> View:
    """The view that the arguments of miquery ask for. Raises NotFound, AmbiguousId."""
    if id is not None:
        kind, whole = store.resolve_id(id)
        return TrainingView(store, whole) if kind == "training" else JobView(store, whole, limit)
    job_id = None
    if job is not None:
        kind, job_id = store.resolve_id(job)
        if kind != "job":
            raise NotAllowed("training", job_id, "no job", "listed by --job", "Give the id of a job.")
    name = None if dataset is None else DatasetRef.parse(dataset).name
    return QueueView(store, TrainingFilter(TrainingStatus(status) if status else None, job_id, name, tag), limit)


def _row(training: TrainingRow) -> list[Any]:
    progress = training.progress
    done = 0 if progress is None else progress.epoch
    return [
        training.id[:8],
        training.status,
        training.priority,
        training.dataset,
        training.name,
        training.job_id[:8] if training.job_id else None,
        epochs_text(done, training.max_epochs),
        None if progress is None else progress.val_loss,
        _result(training),
        training.created_at,
    ]


def _result(training: TrainingRow) -> str | None:
    """What it was trained for: a trial's objectives, else the first metric of the evaluation."""
    measured = training.evaluation or {}
    names = [name for name in measured if name != "val_loss"]
    wanted = training.trial.all_objectives() if training.trial else (names or ["val_loss"])[:1]
    return ", ".join(f"{name}={text(measured[name])}" for name in wanted if name in measured) or None


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
        *part_fields(training),
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


def _leader_row(rank: int, row: TrainingRow, names: list[str]) -> list[Any]:
    trial = row.trial
    assert trial is not None  # the query asks for rows with a trial value
    epochs = row.progress.epoch if row.progress else 0
    return [
        rank,
        trial.value,
        trial.number,
        row.id[:8],
        epochs,
        *(trial.parameters.get(name) for name in names),
    ]
