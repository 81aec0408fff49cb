"""Brings trainings and jobs that were pruned back from an archive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mitorch_service.errors import NotFound
from mitorch_service.operations.archives.archive_reading import Archived, read_archive
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.trainings import Kind

_BATCH = 100  # lines


@dataclass
class RestoreReport:
    """Counts of what was brought back, and of what is in the database already."""

    trainings: int = 0
    jobs: int = 0
    present: int = 0


def restore(
    store: Store,
    path: Path,
    ids: Sequence[str] = (),
    dry_run: bool = False,
    show: Callable[[RestoreReport], object] = lambda report: None,
) -> RestoreReport:
    """Adds what the archive holds and the database does not; with `ids` (or their beginnings) only these trainings, and
    these jobs with their trials. What is there stays as it is. The whole archive is checked before anything is written;
    if it is killed, the next call adds what is left. Of a training that was pruned twice the later one comes back.
    Raises InvalidInput, NotFound."""
    wanted = _choose(path, ids)
    report = RestoreReport()
    if not dry_run:
        store.prepare()
    batch: list[Archived] = []
    for number, line in enumerate(read_archive(path, again=True)):
        if number in wanted:
            batch.append(line)
        if len(batch) == _BATCH:
            _add(store, batch, report, dry_run)
            show(report)
            batch = []
    _add(store, batch, report, dry_run)
    return report


def _choose(path: Path, ids: Sequence[str]) -> set[int]:
    """The numbers of the lines to restore, the last of each training or job."""
    last: dict[str, tuple[int, str | None]] = {}
    for number, line in enumerate(read_archive(path)):
        last[line.id] = (number, line.job_id)
    if not ids:
        return {number for number, _ in last.values()}
    prefixes = tuple(id.strip().lower() for id in ids)
    for prefix in prefixes:
        if not any(id.startswith(prefix) for id in last):
            raise NotFound("training or job", prefix, f"{path} does not hold it.")
    return {number for id, (number, job) in last.items() if id.startswith(prefixes) or (job or "").startswith(prefixes)}


def _add(store: Store, batch: Sequence[Archived], report: RestoreReport, dry_run: bool) -> None:
    report.trainings += _add_those(store, "training", batch, report, dry_run)
    report.jobs += _add_those(store, "job", batch, report, dry_run)


def _add_those(store: Store, kind: Kind, batch: Sequence[Archived], report: RestoreReport, dry_run: bool) -> int:
    lines = [line for line in batch if line.kind == kind]
    present = store.retention.present(kind, [line.id for line in lines])
    missing = [(line.document, line.results) for line in lines if line.id not in present]
    report.present += len(lines) - len(missing)
    if missing and not dry_run:
        store.retention.put_back(kind, missing)
    return len(missing)
