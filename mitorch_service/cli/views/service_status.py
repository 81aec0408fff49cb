"""Prints the clusters and the queue (`micontrol status`)."""

from __future__ import annotations

from mitorch_service.cli.views.output import show_json, show_table
from mitorch_service.cli.views.page import Column
from mitorch_service.reports.service_status import ClusterStatus, ServiceStatus

_CLUSTER_COLUMNS = (Column("cluster", 0, 12), Column("nodes"), Column("free"), Column("state", wraps=True))
_JOB_COLUMNS = (
    Column("job"),
    Column("status"),
    Column("priority", 3),
    Column("name", 2, 12),
    Column("trials", 1, 20),
)
_QUEUE_COLUMNS = (
    Column("next"),
    Column("priority", 1),
    Column("dataset", 4, 10),
    Column("name", 2, 12),
    Column("job", 3),
    Column("since", 5),
)


def show_status(status: ServiceStatus) -> None:
    """Prints clusters, counts, active jobs and the head of the queue as tables."""
    rows = [_cluster_row(name, cluster) for name, cluster in status.clusters.items()]
    show_table("clusters", _CLUSTER_COLUMNS, rows)
    show_table("trainings", ("status", "count"), list(status.counts.items()))
    if status.jobs:
        show_table(
            "active jobs", _JOB_COLUMNS, [(j.id[:8], j.status, j.priority, j.name, j.counts) for j in status.jobs]
        )
    if status.queue:
        show_table(
            "head of the queue",
            _QUEUE_COLUMNS,
            [
                (r.id[:8], r.priority, r.dataset, r.name, r.job_id[:8] if r.job_id else None, r.created_at)
                for r in status.queue
            ],
        )


def show_status_json(status: ServiceStatus) -> None:
    """Prints the same as one JSON document."""
    show_json(
        {
            "clusters": {name: _cluster_json(cluster) for name, cluster in status.clusters.items()},
            "trainings": status.counts,
            "jobs": [job.id for job in status.jobs],
            "queue": [row.to_document() for row in status.queue],
        }
    )


def _cluster_row(name: str, cluster: ClusterStatus) -> tuple[object, ...]:
    if cluster.capacity is None:
        return name, "-", "-", cluster.error
    return name, cluster.capacity.total, cluster.capacity.free, cluster.refusal or "ok"


def _cluster_json(cluster: ClusterStatus) -> object:
    if cluster.capacity is None:
        return cluster.error
    return {"total": cluster.capacity.total, "free": cluster.capacity.free, "refusal": cluster.refusal}
