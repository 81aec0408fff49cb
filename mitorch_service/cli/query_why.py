"""What miquery --why shows."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from mitorch_service.cli.views.output import show_fields, show_json, show_table
from mitorch_service.controller.loop import Controller
from mitorch_service.controller.plan.snapshot import Snapshot
from mitorch_service.models.status import TrainingStatus
from mitorch_service.reports.why import Why, why_job, why_training
from mitorch_service.settings import Settings
from mitorch_service.stores.base import Store
from mitorch_service.wiring import open_backends


def show_why(store: Store, settings: Settings, id: str, as_json: bool) -> None:
    """Prints what keeps a training or a job where it is. Raises NotFound, AmbiguousId."""
    kind, whole = store.trainings.resolve_id(id)
    controller = Controller(store, open_backends(settings), settings.clusters)
    why = _training(store, controller, whole) if kind == "training" else _job(store, controller, whole)
    if as_json:
        show_json(why.__dict__)
        return
    show_fields([(kind, why.id), ("status", why.status)])
    for reason in why.reasons:
        click.echo(reason)
    if why.clusters:
        show_table("clusters", ("cluster", "why not there"), list(why.clusters.items()))


def _training(store: Store, controller: Controller, id: str) -> Why:
    training, now = store.trainings.get_training(id), datetime.now(UTC)
    if training.status != TrainingStatus.NEW:  # no cluster needs to be asked
        return why_training(now, training, Snapshot(), 0)
    return why_training(now, training, controller.observe(now), store.queue.count_ahead(training))


def _job(store: Store, controller: Controller, id: str) -> Why:
    snapshot = controller.observe(datetime.now(UTC))
    for state in snapshot.jobs:
        if state.job.id == id:
            return why_job(state)
    job = store.jobs.get_job(id)
    ended = f"it has ended: {job.status}" + "".join(f"; {text}" for text in (job.error, job.note) if text)
    return Why(job.id, job.status, [ended])
