"""Every page of the viewer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mitorch_service.models.status import TrainingStatus
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.trainings import TrainingFilter


class Viewer(Protocol):
    """The filled store behind a viewer, and the id of its search."""

    store: Store
    job: str


def some(viewer: Viewer, status: TrainingStatus) -> str:
    """The id of the newest training in this state."""
    return viewer.store.trainings.list_trainings(TrainingFilter(status), 1).items[0].id


def _several(viewer: Viewer) -> str:
    rows = viewer.store.trainings.list_trainings(TrainingFilter(TrainingStatus.COMPLETED), 12).items
    return ",".join(row.id for row in rows)


PAGES: dict[str, Callable[[Viewer], str]] = {
    "queue": lambda viewer: "/",
    "trainings": lambda viewer: "/trainings?columns=status,epoch,max_epochs,tag,config.model,val_loss",
    "no trainings": lambda viewer: "/trainings?q=name:nobody",
    "groups of trainings": lambda viewer: "/trainings?group=dataset&value=val_loss",
    "failed training": lambda viewer: f"/trainings/{some(viewer, TrainingStatus.FAILED)}",
    "completed training": lambda viewer: f"/trainings/{some(viewer, TrainingStatus.COMPLETED)}",
    "searches": lambda viewer: "/jobs",
    "search": lambda viewer: f"/jobs/{viewer.job}",
    "data sets": lambda viewer: "/datasets",
    "data set": lambda viewer: "/datasets/parts",
    "comparison": lambda viewer: f"/compare?ids={_several(viewer)}",
    "status": lambda viewer: "/status",
    "submit": lambda viewer: "/submit",
    "nothing to compare": lambda viewer: "/compare",
}
