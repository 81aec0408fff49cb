"""Prints the clusters and the queue (`micontrol status`)."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

import click

from mitorch_service.cli.views.pages.output import show_json, show_page, show_table
from mitorch_service.cli.views.pages.page import Column, Lines, Page
from mitorch_service.controller.plan.leaked_runs import Leak, leak_fields
from mitorch_service.controller.plan.placing.fair_share import ShareReport
from mitorch_service.insights.search.pausing import counts_text
from mitorch_service.insights.service_status import ClusterStatus, ServiceStatus
from mitorch_service.insights.waiting.queue import by_status
from mitorch_service.insights.waiting.remaining import training_remaining
from mitorch_service.insights.webhooks import WebhookStatus
from mitorch_service.models.heartbeat import missing_controller, pass_text
from mitorch_service.models.training import TrainingRow, done_text
from mitorch_service.wording.elapsed import duration_text

_CLUSTER_COLUMNS = (Column("cluster", 0, 12), Column("nodes"), Column("free"), Column("state", wraps=True))
_WEBHOOK_COLUMNS = (Column("webhook", 0, 12), Column("kind", 2), Column("host", 1, 12), Column("state", wraps=True))
_WITHHELD_COLUMNS = (Column("dataset", 0, 12), Column("why", wraps=True))
_JOB_COLUMNS = (
    Column("job"),
    Column("status"),
    Column("priority", 3),
    Column("name", 2, 12),
    Column("trials", 1, 20),
)
_LEAK_COLUMNS = (
    Column("run", 0, 12),
    Column("cluster", 1, 12),
    Column("for", 2),
    Column("cost", 3),
    Column("why", wraps=True),
)
_RUNNING_COLUMNS = (
    Column("training"),
    Column("status"),
    Column("cluster", 2, 12),
    Column("epoch", 1),
    Column("left", 2),
    Column("name", 3, 12),
    Column("job", 4),
    Column("since", 5),
)
_QUEUE_COLUMNS = (
    Column("next"),
    Column("priority", 1),
    Column("dataset", 4, 10),
    Column("name", 2, 12),
    Column("job", 3),
    Column("since", 5),
)


def show_status(status: ServiceStatus, now: datetime) -> None:
    """Prints the controller's last pass, and clusters, counts, active jobs, what runs and the head of the queue as
    tables."""
    missing = missing_controller(status.controller, now)
    show_page(Page([Lines([f"controller: {missing or pass_text(status.controller, now)}"])]))
    rows = [_cluster_row(name, cluster) for name, cluster in status.clusters.items()]
    show_table("clusters", _CLUSTER_COLUMNS, rows)
    show_table("trainings", ("status", "count"), list(by_status(status.counts)))
    if status.jobs:
        show_table(
            "active jobs",
            _JOB_COLUMNS,
            [(j.id[:8], j.status, j.priority, j.name, counts_text(j.counts)) for j in status.jobs],
        )
    if status.leaks:
        rows = [_leak_row(leak, now) for leak in status.leaks]
        show_table("runs that no training knows", _LEAK_COLUMNS, rows)
    if status.without_run:
        show_table(
            "trainings without a run", ("training", "status"), [(r.id[:8], r.status) for r in status.without_run]
        )
    if status.running:
        show_table("running", _RUNNING_COLUMNS, [_running_row(row, now) for row in status.running])
    if status.queue:
        show_table(
            "head of the queue",
            _QUEUE_COLUMNS,
            [
                (r.id[:8], r.priority, r.dataset, r.name, r.job_id[:8] if r.job_id else None, r.created_at)
                for r in status.queue
            ],
        )
    if status.by is not None:
        show_table(f"fair share by {status.by}", _share_columns(status.by), [_share_row(one) for one in status.shares])
    if status.webhooks:
        hooks = [(hook.name, hook.kind, hook.host, hook.text(now)) for hook in status.webhooks]
        show_table("webhooks", _WEBHOOK_COLUMNS, hooks)
    if status.withheld:
        show_table("data sets that cannot be read", _WITHHELD_COLUMNS, list(status.withheld.items()))
    for broken in status.unreadable:
        click.echo(str(broken), err=True)


def show_status_json(status: ServiceStatus, now: datetime) -> None:
    """Prints the same as one JSON document."""
    show_json(
        {
            "clusters": {name: _cluster_json(cluster) for name, cluster in status.clusters.items()},
            "trainings": status.counts,
            "jobs": [job.id for job in status.jobs],
            "queue": [row.to_document() for row in status.queue],
            "running": [row.to_document() for row in status.running],
            "controller": _controller_json(status, now),
            "webhooks": [_webhook_json(hook) for hook in status.webhooks],
            "withheld": dict(status.withheld),
            "leaks": [leak_fields(leak, now) for leak in status.leaks],
            "without_run": [row.id for row in status.without_run],
            "shares": [asdict(one) for one in status.shares],
            "unreadable": [{"id": str(one.key), "reason": one.reason} for one in status.unreadable],
        }
    )


def _share_columns(by: str) -> tuple[Column, ...]:
    return (
        Column(by, 0, 12),
        Column("weight", 3),
        Column("share", 1),
        Column("used"),
        Column("node hours", 2),
        Column("nodes", 2),
    )


def _share_row(one: ShareReport) -> tuple[object, ...]:
    used, hours = f"{one.used:.0%}", f"{one.node_hours:.1f}"
    return one.share or "-", f"{one.weight:g}", f"{one.due:.0%}", used, hours, one.nodes


def _running_row(row: TrainingRow, now: datetime) -> tuple[object, ...]:
    attempt = row.current_attempt()
    job, since = row.job_id[:8] if row.job_id else None, row.status_times.get(row.status)
    left = duration_text(training_remaining(row, now))
    return row.id[:8], row.status, attempt.cluster if attempt else None, done_text(row), left, row.name, job, since


def _leak_row(leak: Leak, now: datetime) -> tuple[object, ...]:
    return leak.run_name, leak.cluster, duration_text(leak.age(now)), f"{leak.cost(now):.2f}", leak.reason


def _controller_json(status: ServiceStatus, now: datetime) -> object:
    """The last pass of any controller, and whether another one should have been made since."""
    last = {} if status.controller is None else status.controller.model_dump(exclude={"id"})
    return {"at": None, **last, "missing": missing_controller(status.controller, now) is not None}


def _webhook_json(hook: WebhookStatus) -> object:
    state = hook.state.model_dump(include={"failing_since", "problem", "sent_at"})
    counts = {"waiting": hook.waiting, "given_up": hook.given_up}
    return {"name": hook.name, "kind": hook.kind, "host": hook.host, **counts, **state}


def _cluster_row(name: str, cluster: ClusterStatus) -> tuple[object, ...]:
    if cluster.capacity is None:
        return name, "-", "-", cluster.error
    return name, cluster.capacity.total, cluster.capacity.free, cluster.refusal or "ok"


def _cluster_json(cluster: ClusterStatus) -> object:
    if cluster.capacity is None:
        return cluster.error
    return {"total": cluster.capacity.total, "free": cluster.capacity.free, "refusal": cluster.refusal}
