"""What micontrol's sub-commands do."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

import click

from mitorch_service.backends.base import Backend, Capacity
from mitorch_service.cli.views.output import show_json, show_table, text
from mitorch_service.cli.views.pass_progress import show_pass
from mitorch_service.controller.loop import Controller, run
from mitorch_service.controller.pass_report import PassReport
from mitorch_service.controller.plan.cluster_backoff import ClusterBackoff, refusals
from mitorch_service.errors import BackendError, BrokenDocument, NotFound, StoreUnavailable
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.models.status import ENDED
from mitorch_service.models.training import TrainingRow
from mitorch_service.operations import lifecycle
from mitorch_service.settings import Settings, read_settings
from mitorch_service.stores.base import Store
from mitorch_service.wiring import open_artifacts, open_backends, open_store

_HEAD = 100  # of the queue, which tell what clusters have refused
_SHOWN = 10  # of them
_LOCAL_SECONDS = 1.0
_REMOTE_SECONDS = 300.0


def one_pass() -> int:
    """One pass; prints what it did. Returns 1 if some of it failed."""
    settings = read_settings()
    controller = Controller(open_store(settings), open_backends(settings), settings.clusters, open_artifacts(settings))
    report = controller.tick(datetime.now(UTC))
    for event in report.events:
        click.echo(event.text, err=event.failed)
    if not report.events:
        click.echo("nothing to do")
    return int(any(event.failed for event in report.events))


def run_passes(every: float | None, until_idle: bool) -> None:
    """Pass after pass; a database that does not answer is waited for."""
    settings = read_settings()
    store = open_store(settings)
    controller = Controller(store, open_backends(settings), settings.clusters, open_artifacts(settings))
    seconds = every or default_seconds(settings)
    last = PassReport(controller.observe(datetime.now(UTC)))  # a database that is not there at all ends it here
    with show_pass() as show:

        def tick() -> PassReport:
            nonlocal last
            try:
                report = controller.tick(datetime.now(UTC))
                for line in _endings(store, last, report):
                    show.note(line, failed=False)
                last = report
            except StoreUnavailable as error:
                show.note(str(error), failed=True)
                return PassReport(last.snapshot)
            return last

        run(tick, lambda: time.sleep(seconds), show.report, until_idle)


def _endings(store: Store, before: PassReport, after: PassReport) -> Iterator[str]:
    """How the trainings have ended that were active a pass ago: most of them say so in the database, not to us."""
    still = {training.id for training in after.snapshot.active}
    for training in before.snapshot.active:
        if training.id in still:
            continue
        try:
            ended = store.trainings.get_training(training.id)
        except (NotFound, BrokenDocument):
            continue  # deleted or damaged meanwhile
        if ended.status in ENDED:
            what = ended.error.message if ended.error is not None else text(ended.evaluation)
            yield f"training {ended.id[:8]} {ended.status}" + (f": {what}" if what != "-" else "")


def default_seconds(settings: Settings) -> float:
    """Asking this machine costs nothing; asking a cloud does."""
    local = all(cluster.kind == "local" for cluster in settings.clusters)
    return _LOCAL_SECONDS if local else _REMOTE_SECONDS


def cancel_id(id: str) -> str:
    """Cancels a training or a job; returns what happened."""
    store, backends = _open()
    kind, whole = store.trainings.resolve_id(id)
    now = datetime.now(UTC)
    if kind == "job":
        count = lifecycle.cancel_job(store, backends, whole, now)
        return f"job {whole}: no more trials, and {count} asked to stop; the next pass ends it"
    row = lifecycle.cancel_training(store, backends, whole, now)
    return f"training {whole} {'canceled' if row.status == 'canceled' else 'is asked to stop'}"


def retry_id(id: str) -> str:
    """Queues an ended training, or the failed trials of an active job, again."""
    store = open_store(read_settings())
    kind, whole = store.trainings.resolve_id(id)
    now = datetime.now(UTC)
    if kind == "job":
        return f"job {whole}: {lifecycle.retry_job(store, whole, now)} trials queued again"
    lifecycle.retry_training(store, whole, now)
    return f"training {whole} queued again"


def prioritise_id(id: str, priority: int) -> str:
    """Changes the priority of a training or a job."""
    store = open_store(read_settings())
    kind, whole = store.trainings.resolve_id(id)
    if kind == "job":
        count = lifecycle.prioritise_job(store, whole, priority)
        return f"job {whole} and {count} of its trials have priority {priority}"
    store.queue.set_priority(whole, priority)
    return f"training {whole} has priority {priority}"


def delete_id(id: str) -> str:
    """Deletes an ended training or job with everything that belongs to it."""
    settings = read_settings()
    store, artifacts = open_store(settings), open_artifacts(settings)
    kind, whole = store.trainings.resolve_id(id)
    if kind == "job":
        return f"job {whole} deleted with {lifecycle.delete_job(store, artifacts, whole)} trials"
    lifecycle.delete_training(store, artifacts, whole)
    return f"training {whole} deleted"


def read_log(id: str, number: int | None) -> str:
    """The end of an attempt's log, from the cluster that it ran on. Raises NotFound."""
    store, backends = _open()
    kind, whole = store.trainings.resolve_id(id)
    if kind == "job":
        raise NotFound("training", whole, "It is a job: give the id of one of its trials.")
    attempts = store.trainings.get_training(whole).attempts
    attempt = next((a for a in reversed(attempts) if number in (None, a.number)), None)
    if attempt is None:
        raise NotFound("attempt", f"{number or 1} of training {whole}", f"It has {len(attempts)}.")
    if attempt.cluster not in backends:
        raise NotFound("cluster", attempt.cluster, "It is not in MITORCH_CLUSTERS.")
    return mask_secrets(backends[attempt.cluster].logs(attempt.run_name))


def show_status(as_json: bool) -> None:
    """The clusters with their capacity, trainings by status, active jobs, and the head of the queue."""
    store, backends = _open()
    clusters = {name: _capacity(backend) for name, backend in backends.items()}
    counts = store.trainings.count_trainings()
    jobs = store.jobs.active_jobs().items
    queue = store.queue.queue_head(_HEAD).items
    refused = _last_refusals(store, queue, backends)
    head = queue[:_SHOWN]
    if as_json:
        shown = {
            name: c if isinstance(c, str) else {"total": c.total, "free": c.free, "refusal": refused[name]}
            for name, c in clusters.items()
        }
        waiting = [row.to_document() for row in head]
        show_json({"clusters": shown, "trainings": counts, "jobs": [job.id for job in jobs], "queue": waiting})
        return
    rows = [
        (n, "-", "-", c) if isinstance(c, str) else (n, c.total, c.free, refused[n] or "ok")
        for n, c in clusters.items()
    ]
    show_table("clusters", ("cluster", "nodes", "free", "state"), rows)
    show_table("trainings", ("status", "count"), list(counts.items()))
    if jobs:
        columns = ("job", "status", "priority", "name", "trials")
        show_table("active jobs", columns, [(j.id[:8], j.status, j.priority, j.name, j.counts) for j in jobs])
    if head:
        show_table(
            "head of the queue",
            ("next", "priority", "dataset", "name", "job", "since"),
            [(r.id[:8], r.priority, r.dataset, r.name, r.job_id[:8] if r.job_id else None, r.created_at) for r in head],
        )


def _last_refusals(store: Store, queue: Sequence[TrainingRow], clusters: Iterable[str]) -> dict[str, str | None]:
    """Of each cluster, what it has refused, if it has taken no training since."""
    active = store.queue.active_trainings().items if any(map(refusals, queue)) else ()
    backoff = ClusterBackoff(datetime.now(UTC), queue, active)
    return {name: backoff.last_refusal(name) for name in clusters}


def _open() -> tuple[Store, dict[str, Backend]]:
    settings = read_settings()
    return open_store(settings), open_backends(settings)


def _capacity(backend: Backend) -> Capacity | str:
    try:
        return backend.capacity()
    except BackendError as error:
        return str(error)
