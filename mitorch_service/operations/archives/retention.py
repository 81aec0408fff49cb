"""Prunes what ended long ago from the database, archived or for good, page by page beside a running service."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.controller.observe.pareto_front import current_front
from mitorch_service.errors import ArtifactError, BrokenDocument, NotFound
from mitorch_service.models.search.job import Job
from mitorch_service.models.search.objectives import Direction
from mitorch_service.models.status import ENDED
from mitorch_service.models.training import TrainingRow, Trial, run_name
from mitorch_service.operations.archives.archive import Archive
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.retention import Ended, Place, named_bases

_PAGE = 100  # trainings selected, archived and deleted at a time: SQLite is locked for some 30 ms
_CLOCKS_DIFFER = 10_000_000  # microseconds by which the arrivals of two machines may be out of order
_FAILURES = 10  # trainings whose files cannot be deleted before the prune gives up


@dataclass(frozen=True)
class PruneOptions:
    """The choice of what is pruned."""

    before: datetime  # what ended earlier is pruned
    keep_best: bool = False  # the best trial (or Pareto front) of each job stays, and so does its job
    keep_artifacts: bool = False  # weights and logs stay


@dataclass
class PruneReport:
    """Counts of what was pruned (or would be), and of what was old enough but kept, by reason."""

    trainings: int = 0
    jobs: int = 0
    best: int = 0  # the best trials of their jobs
    bases: int = 0  # a training that has not ended starts from their weights
    active: int = 0  # trials of jobs that have not ended
    changed: int = 0  # retried or deleted meanwhile
    broken: int = 0  # their age cannot be read
    failed: list[str] = field(default_factory=list)  # messages: their files could not be deleted


def prune(
    store: Store,
    artifacts: ArtifactStore,
    runs: Path,
    options: PruneOptions,
    archive: Archive | None,
    wait: Callable[[], object],
    show: Callable[[PruneReport], object] = lambda report: None,
) -> PruneReport:
    """Archives (where there is an archive), then deletes, page by page; calls `wait` after each page and shows the
    progress. A page's files are deleted first, then its results, its documents last: if it is killed, the next prune
    finds what is left by its documents. `runs` is the folder of this machine's runs.

    A training that is retried meanwhile stays; if that happens between the last check and the deletion, it loses its
    old curve and logs, which its next attempt drops anyway. A training submitted in that moment with a `base` that is
    being deleted fails with an error that says so. A file that cannot be deleted keeps its training, and nothing else.
    """
    report = PruneReport()
    for page in _select(store, options, report, whole=archive is not None):
        if archive is not None:
            archive.add(
                {"training": one.document, "results": list(store.runs.curve_records(one.row.id))} for one in page
            )
        still = store.retention.unchanged([one.row for one in page])
        bare = [row for row in still if _remove_files(artifacts, runs, row, options, report)]
        removed = store.retention.remove_ended(bare)
        report.trainings += removed
        report.changed += len(page) - len(still) + len(bare) - removed
        show(report)
        wait()
    empty = (
        ended for ended in store.retention.ended_jobs(options.before) if store.retention.count_trials(ended[0].id) == 0
    )
    while jobs := list(islice(empty, _PAGE)):
        if archive is not None:
            archive.add({"job": document} for _, document in jobs)
        bare_jobs = [job for job, _ in jobs if _remove_plots(artifacts, job, options, report)]
        report.jobs += sum(map(store.retention.remove_ended_job, bare_jobs))
        wait()
    return report


def preview(store: Store, options: PruneOptions) -> PruneReport:
    """Counts what `prune` would do now; changes nothing."""
    report = PruneReport()
    trials: Counter[str] = Counter()
    for page in _select(store, options, report, whole=False):
        report.trainings += len(page)
        trials.update(one.row.job_id for one in page if one.row.job_id is not None)
    report.jobs = sum(
        store.retention.count_trials(job.id) == trials[job.id] for job, _ in store.retention.ended_jobs(options.before)
    )
    return report


def _select(store: Store, options: PruneOptions, report: PruneReport, whole: bool) -> Iterator[list[Ended]]:
    """Yields the trainings to prune, page by page; counts in the report those that are kept."""
    jobs = store.jobs.active_jobs()
    active = {job.id for job in jobs.items} | {broken.key for broken in jobs.broken}
    bases = set().union(*(named_bases(part) for job in jobs.items for part in (job.config, job.search.refit)))
    newest = 0

    best_of = lru_cache(maxsize=1000)(partial(_best_of, store))

    def stays(row: TrainingRow) -> bool:
        if row.belongs_to in active:
            report.active += 1
        elif row.id in bases:
            report.bases += 1
        elif options.keep_best and (
            row.refit or (row.job_id and row.trial and row.id in best_of(row.job_id, *_aim(row.trial)))
        ):
            report.best += 1
        else:
            return False
        return True

    for status in ENDED:
        after: Place | None = None
        while True:
            page = store.retention.ended_page(status, options.before, _PAGE, after, whole)
            named, newest = store.retention.bases_in_use(max(0, newest - _CLOCKS_DIFFER))
            bases |= named
            report.broken += len(page.broken)
            if chosen := [one for one in page.items if not stays(one.row)]:
                yield chosen
            if page.after is None:
                break
            after = page.after


def _aim(trial: Trial) -> tuple[Direction, bool]:
    """The trial's direction, and whether it has several objectives."""
    return trial.direction, len(trial.all_objectives()) > 1


def _best_of(store: Store, job_id: str, direction: Direction, several: bool) -> set[str]:
    """Ids of the best trial, or of the Pareto front, which is empty if the job's document cannot be read."""
    if not several:
        return {row.id for row in store.jobs.best_trials(job_id, direction, 1).items}
    try:
        return {trial.training_id for trial in current_front(store, store.jobs.get_job(job_id))}
    except (NotFound, BrokenDocument):
        return set()


def _remove_files(
    artifacts: ArtifactStore, runs: Path, row: TrainingRow, options: PruneOptions, report: PruneReport
) -> bool:
    """Deletes weights, logs and run folders of a training; False if that failed. Raises ArtifactError when it fails too
    often: then the storage is at fault, and no other deletion would succeed."""
    try:
        if not options.keep_artifacts:
            artifacts.delete(f"{row.id}/")
        for attempt in row.attempts:
            folder = runs / run_name(row.id, attempt.number)
            if folder.parent == runs and folder.is_dir():
                _remove_folder(folder)
    except ArtifactError as error:
        report.failed.append(f"training {row.id} stays: {error}")
        if len(report.failed) > _FAILURES:
            raise
        return False
    return True


def _remove_plots(artifacts: ArtifactStore, job: Job, options: PruneOptions, report: PruneReport) -> bool:
    """Deletes the pictures of a search; False if that failed: its job stays for the next time."""
    if options.keep_artifacts or not any(name.startswith("plot_") for name in job.artifacts):
        return True
    try:
        artifacts.delete(f"{job.id}/")
    except ArtifactError as error:
        report.failed.append(f"job {job.id} stays: {error}")
        return False
    return True


def _remove_folder(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise ArtifactError(folder.name, str(folder.parent), error.strerror or str(error)) from error
