"""Verbs of retention: trainings and jobs that ended long ago, page by page, with all that belongs to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from mitorch_service.errors import BrokenDocument
from mitorch_service.models.schema_versions import upgraded
from mitorch_service.models.search.job import Job
from mitorch_service.models.status import ENDED, ENDED_JOBS, OPEN, TrainingStatus
from mitorch_service.models.training import TrainingRow
from mitorch_service.stores.primitives import Verbs
from mitorch_service.stores.requests import Collection, Compaction, Query, Removal, StoredDocument
from mitorch_service.stores.transitions import stored_statuses
from mitorch_service.stores.verbs.trainings import Kind

Place = tuple[int, str]  # (arrival, id) of the last document of a page

_COLLECTIONS: Mapping[Kind, Collection] = {"training": "trainings", "job": "jobs"}
_START: Place = (-(2**63), "")
_OLDEST_FIRST: tuple[tuple[str, Literal[1]], ...] = (("arrival", 1), ("_id", 1))
_NOT_CONFIG = ("error", "attempts", "progress", "evaluation", "status_times", "trial", "tags", "artifacts", "dataset")
_READ_AT_ONCE = 1000


@dataclass(frozen=True)
class Ended:
    """A training that has ended: its row, and the document as it is stored."""

    row: TrainingRow
    document: StoredDocument


@dataclass(frozen=True)
class EndedPage:
    """Some trainings of one status, oldest first."""

    items: list[Ended] = field(default_factory=list)
    broken: list[BrokenDocument] = field(default_factory=list)
    after: Place | None = None  # where the next page begins; None: this was the last


class RetentionVerbs(Verbs):
    """Reads and deletes what ended long ago, by the same indexes as everything else and at most a page at once."""

    def compact(self, wait: Callable[[], object]) -> Compaction:
        """Gives the space of deleted documents back to the file system, in steps between which others write; `wait` is
        called after each."""
        return self._database.compact(wait)

    def ended_page(
        self, status: TrainingStatus, before: datetime, limit: int, after: Place | None = None, whole: bool = True
    ) -> EndedPage:
        """Returns those of the next `limit` trainings of the status that ended before a time (one that was retried may
        have been submitted long before it ended). Unless `whole`, their documents lack `config` and `error`."""
        query = Query(
            "trainings",
            {"status": status},
            order=_OLDEST_FIRST,
            after=after or _START,
            limit=limit,
            without=() if whole else ("config", "error"),
        )
        documents = list(self._database.find(query))
        page = EndedPage(after=_next(documents, limit, before))
        for document in documents:
            try:
                row = TrainingRow.from_document(document)
            except BrokenDocument as error:
                page.broken.append(error)
                continue
            if _ended_before(_kept_since(row), before):
                page.items.append(Ended(row, document))
        return page

    def unchanged(self, rows: Sequence[TrainingRow]) -> list[TrainingRow]:
        """Returns the rows that are still as they were read: not retried, not deleted."""
        ids = tuple(row.id for row in rows)
        query = Query("trainings", {"_id": ids}, without=("config", "error", "attempts"))
        now = {row.id: _end_of(row) for row in self._database.read(TrainingRow, query).items}
        return [row for row in rows if now.get(row.id) == _end_of(row)]

    def remove_ended(self, rows: Sequence[TrainingRow]) -> int:
        """Deletes trainings with their results, each only if it is still ended as it was read; returns how many."""
        ended = [row for row in rows if row.status in ENDED]
        removals = [_removal(row, stored) for row in ended for stored in stored_statuses([row.status])]
        return self._database.remove_all(sorted(removals, key=lambda removal: removal.status))

    def bases_in_use(self, since: int = 0) -> tuple[set[str], int]:
        """Returns the trainings whose weights are needed: named as `base` by one that has not ended and came at or
        after `since`; and the newest arrival seen, to go on from. No index leads to them: it reads the configs of what
        has not ended, which is short beside the history."""
        bases: set[str] = set()
        newest = since
        for status in OPEN:
            for document in self._all({"status": status}, (since - 1, "g"), _NOT_CONFIG):
                bases |= named_bases(document.get("config"))
                newest = max(newest, document["arrival"])
        return bases, newest

    def ended_jobs(self, before: datetime) -> Iterator[tuple[Job, StoredDocument]]:
        """Yields jobs that ended before a time, with their stored documents; unreadable ones are left out."""
        after: Place | None = _START
        while after is not None:
            query = Query("jobs", order=_OLDEST_FIRST, after=after, limit=_READ_AT_ONCE)
            documents = list(self._database.find(query))
            for document in documents:
                try:
                    job = Job.from_document(document)
                except BrokenDocument:
                    continue
                if job.status in ENDED_JOBS and _ended_before(job.status_times.get(job.status), before):
                    yield job, document
            after = _next(documents, _READ_AT_ONCE, before)

    def count_trials(self, job_id: str) -> int:
        """Counts the trials of a job, whatever their status."""
        return self._database.count(Query("trainings", {"job_id": job_id}))

    def remove_ended_job(self, job: Job) -> bool:
        """Deletes the document of an ended job, whose trials are gone."""
        return self._database.remove("jobs", job.id, {"status": (job.status,)})

    def present(self, kind: Kind, ids: Sequence[str]) -> set[str]:
        """Returns those of the ids that are in the database."""
        query = Query(_COLLECTIONS[kind], {"_id": tuple(ids)}, without=("config", "error", "attempts"))
        return {document["_id"] for document in self._database.find(query)} if ids else set()

    def put_back(self, kind: Kind, documents: Sequence[tuple[StoredDocument, Sequence[StoredDocument]]]) -> None:
        """Adds documents that were pruned, with their results: these first, so that no training comes back without
        its curve. What is there already is left as it is."""
        for _, results in documents:
            self._database.insert("training_results", results)
        self._database.insert(_COLLECTIONS[kind], (upgraded(_COLLECTIONS[kind], document) for document, _ in documents))

    def _all(self, where: Mapping[str, object], after: Place, without: tuple[str, ...]) -> Iterator[StoredDocument]:
        while True:
            query = Query("trainings", where, order=_OLDEST_FIRST, after=after, limit=_READ_AT_ONCE, without=without)
            documents = list(self._database.find(query))
            yield from documents
            if len(documents) < _READ_AT_ONCE:
                return
            after = (documents[-1]["arrival"], documents[-1]["_id"])


def named_bases(config: object) -> set[str]:
    """Every text under a key `base`, at any depth: one in a training's config, all that may be drawn in a job's."""
    if isinstance(config, dict):
        here = set(_texts(config["base"])) if "base" in config else set()
        return here.union(*map(named_bases, config.values()))
    return set().union(*map(named_bases, config)) if isinstance(config, list) else set()


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def _next(documents: Sequence[StoredDocument], limit: int, before: datetime) -> Place | None:
    """The place behind the last document; None if no more follow, or none that could have ended by then."""
    if len(documents) < limit:
        return None
    arrival, id = documents[-1]["arrival"], documents[-1]["_id"]
    return (arrival, id) if isinstance(arrival, int) and arrival < before.timestamp() * 1e6 else None


def _kept_since(row: TrainingRow) -> datetime | None:
    """When it ended; of an imported one when it came: an import of old runs is not for the next prune."""
    return row.status_times.get(row.status) if row.imported_from is None else row.imported_from.imported_at


def _ended_before(ended: datetime | None, before: datetime) -> bool:
    """False without a time: nobody knows how old it is."""
    return ended is not None and ended < before


def _end_of(row: TrainingRow) -> tuple[object, ...]:
    return row.status, row.attempt, row.status_times.get(row.status)


def _removal(row: TrainingRow, stored: str) -> Removal:
    """The removal of a training if its status is still `stored`; of the several forms of one status one is there."""
    records: tuple[Collection, str, str] = ("training_results", f"{row.id}:", f"{row.id};")
    return Removal("trainings", row.id, {"status": (stored,), "attempt": (row.attempt,)}, records)
