"""The state of the service as programs read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime

from pydantic import Field

from mitorch_service.controller.plan.leaked_runs import leak_fields
from mitorch_service.insights.details.values import Detail, Time, masked
from mitorch_service.insights.service_status import ClusterStatus, ServiceStatus
from mitorch_service.models.heartbeat import missing_controller
from mitorch_service.models.training import TrainingRow


class ClusterDetails(Detail):
    """A cluster of MITORCH_CLUSTERS."""

    total: int | None = Field(description="Nodes, with those that it would allocate; null: it has not answered.")
    free: int | None = Field(description="Nodes that are free for new runs.")
    unexplained: int = Field(description="Nodes that are busy without a training of ours.")
    refusal: str | None = Field(description="The training that it refused last, if it has accepted none since.")
    error: str | None = Field(description="Why its capacity is not known.")
    price: float = Field(description="Of a node hour.")
    age_seconds: float | None = Field(description="Since it was asked.")


class ControllerDetails(Detail):
    """The passes of the controllers."""

    at: Time | None = Field(description="When the last pass ended; null: there was none yet.")
    machine: str | None = Field(description="Where it was made.")
    every: float | None = Field(description="Seconds between passes; null: a timer elsewhere decides.")
    missing: str | None = Field(description="The fact and the remedy where no controller passes.")


class QueuedTraining(Detail):
    """A training that runs or waits."""

    id: str = Field(description="A GUID.")
    status: str = Field(description="new, queued or running.")
    name: str | None = Field(description="Given by a person.")
    priority: int = Field(description="Lower starts first.")
    dataset: str = Field(description="NAME:VERSION.")
    job: str | None = Field(description="The id of its search.")
    cluster: str | None = Field(description="Where its attempt is.")
    epoch: int = Field(description="Epochs that are done.")
    max_epochs: int = Field(description="Epochs in all; 0: not known.")
    since: Time = Field(description="When it got this status.")


class UnreadableDetails(Detail):
    """A document that cannot be read."""

    id: str = Field(description="As it is stored.")
    kind: str = Field(description="training or job.")
    reason: str = Field(description="What is wrong with it.")


class ShareDetails(Detail):
    """A user or team that the clusters are shared with."""

    share: str = Field(description="Its name; empty: trainings without one.")
    weight: float = Field(description="Its weight in MITORCH_PLACEMENT.")
    due: float = Field(description="The part of all nodes that it is due, of 1.")
    used: float = Field(description="The part that it has used, of 1.")
    node_hours: float = Field(description="That it has used, decayed.")
    nodes: int = Field(description="That it holds now.")


class LeakDetails(Detail):
    """A run that goes on though no training knows it."""

    run: str = Field(description="Its name.")
    cluster: str = Field(description="Where it runs.")
    reason: str = Field(description="Why no training knows it.")
    minutes: int | None = Field(description="Since then; null: nobody knows.")
    nodes: int = Field(description="That it holds.")
    cost: float = Field(description="Since then.")
    ours: bool = Field(description="Whether its training is in this database.")


class StatusDetails(Detail):
    """The state of the whole service."""

    clusters: dict[str, ClusterDetails] = Field(description="By name.")
    counts: dict[str, int] = Field(description="Trainings by status.")
    jobs: list[str] = Field(description="The ids of active searches.")
    controller: ControllerDetails = Field(description="Its last pass.")
    webhooks: dict[str, str] = Field(description="How the receivers of notifications answer, in words, by name.")
    shares: list[ShareDetails] = Field(description="With a fair share: the one that is served next first.")
    leaks: list[LeakDetails] = Field(description="Runs that no training knows, oldest first.")
    without_run: list[str] = Field(description="Trainings whose clusters have no such run: a pass starts them again.")
    withheld: dict[str, str] = Field(description="Data sets that cannot be read, with the reason: trainings wait.")
    undelivered: list[str] = Field(description="Trainings whose finished work waits on a cluster's disk.")
    unheard: list[str] = Field(description="Trainings that were asked to stop ten minutes ago, and have not.")
    unreadable: list[UnreadableDetails] = Field(description="Of what is open.")


class QueueDetails(Detail):
    """The trainings that run, and those that start next."""

    running: list[QueuedTraining] = Field(description="At most 50, longest first, then what is assigned.")
    waiting: list[QueuedTraining] = Field(description="The next ones to start, in their order.")
    counts: dict[str, int] = Field(description="All trainings by status.")


def status_details(
    status: ServiceStatus, prices: Mapping[str, float], ages: Mapping[str, float | None], now: datetime
) -> StatusDetails:
    """Puts the state of the service together. `prices`, `ages` (seconds): by cluster."""
    fields = {
        "clusters": {n: _cluster(one, prices.get(n, 0.0), ages.get(n)) for n, one in status.clusters.items()},
        "counts": dict(status.counts),
        "jobs": [job.id for job in status.jobs],
        "controller": _controller(status, now),
        "webhooks": {hook.name: hook.text(now) for hook in status.webhooks},
        "shares": [asdict(one) for one in status.shares],
        "leaks": [leak_fields(leak, now) for leak in status.leaks],
        "without_run": [row.id for row in status.without_run],
        "withheld": dict(status.withheld),
        "undelivered": [row.id for row in status.undelivered],
        "unheard": [row.id for row in status.unheard],
        "unreadable": [{"id": str(b.key), "kind": b.kind, "reason": b.reason} for b in status.unreadable],
    }
    return StatusDetails.model_validate(masked(fields))


def queue_details(status: ServiceStatus) -> QueueDetails:
    """Puts together what runs and what waits."""
    fields = {
        "running": [_row(row) for row in status.running],
        "waiting": [_row(row) for row in status.queue],
        "counts": dict(status.counts),
    }
    return QueueDetails.model_validate(masked(fields))


def _cluster(one: ClusterStatus, price: float, age: float | None) -> dict[str, object]:
    return {
        "total": one.capacity.total if one.capacity else None,
        "free": one.capacity.free if one.capacity else None,
        "unexplained": one.unexplained,
        "refusal": one.refusal,
        "error": one.error,
        "price": price,
        "age_seconds": age,
    }


def _controller(status: ServiceStatus, now: datetime) -> dict[str, object]:
    last = status.controller
    found = (
        last.model_dump(include={"at", "machine", "every"}) if last else {"at": None, "machine": None, "every": None}
    )
    return {**found, "missing": missing_controller(last, now)}


def _row(row: TrainingRow) -> dict[str, object]:
    attempt = row.current_attempt() if row.status != "new" else None
    return {
        "id": row.id,
        "status": row.status.value,
        "name": row.name,
        "priority": row.priority,
        "dataset": str(row.dataset),
        "job": row.belongs_to,
        "cluster": attempt.cluster if attempt else None,
        "epoch": row.progress.epoch if row.progress else 0,
        "max_epochs": row.max_epochs,
        "since": row.status_times.get(row.status, row.created_at),
    }
