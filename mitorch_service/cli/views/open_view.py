"""Chooses the view for the arguments of `miquery`."""

from __future__ import annotations

from mitorch_service.cli.views.base import View
from mitorch_service.stores.base import Store


def open_view(
    store: Store,
    id: str | None,
    status: str | None,
    job: str | None,
    dataset: str | None,
    tag: str | None,
    limit: int,
) -> View:
    """The view of one training or job, or of the trainings that pass a filter. Raises NotFound, AmbiguousId,
    NotAllowed."""
    if id is None:
        from mitorch_service.cli.views.queue import QueueView
        from mitorch_service.reports.queue import build_filter

        return QueueView(store, build_filter(store, status, job, dataset, tag), limit)
    kind, whole = store.trainings.resolve_id(id)
    if kind == "training":
        from mitorch_service.cli.views.training import TrainingView

        return TrainingView(store, whole)
    from mitorch_service.cli.views.job import JobView  # loads the searches

    return JobView(store, whole, limit)
