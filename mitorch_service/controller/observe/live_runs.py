"""Compares the runs that clusters have with the trainings that the database has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from mitorch_service.backends.optional import LiveRun
from mitorch_service.controller.plan.leaked_runs import Leak, find_leaks, orphan_names
from mitorch_service.controller.plan.placing.placement import Cluster
from mitorch_service.errors import NewerDocument
from mitorch_service.models.training import TrainingRow
from mitorch_service.stores.base import Store


def read_leaks(
    store: Store,
    now: datetime,
    live: Mapping[str, Sequence[LiveRun]],
    active: Sequence[TrainingRow],
    clusters: Mapping[str, Cluster],
) -> list[Leak]:
    """Returns the runs that no training knows. `live`: the runs of each cluster, read before `active`. Nothing more is
    read where each run is some active training's; else the trainings of the others. Runs of trainings that a newer
    version wrote are none: its controllers look after them."""
    orphans = orphan_names(live, active)
    if not orphans:
        return []
    found = store.trainings.rows_by_id([*dict.fromkeys(orphans.values())])
    suspects = {name: id for name, id in orphans.items() if not isinstance(found.get(id), NewerDocument)}
    owners = {id: one if isinstance(one, TrainingRow) else None for id, one in found.items()}
    return find_leaks(now, live, owners, clusters, suspects)
