"""Verbs of reading trainings: one, lists page by page, counts, ids from prefixes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar, Literal

from pydantic import Field

from mitorch_service.errors import AmbiguousId, BrokenDocument, NotFound
from mitorch_service.models.base import Document, UtcTime
from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import Training, TrainingErrorInfo, TrainingRow
from mitorch_service.stores.primitives import Verbs
from mitorch_service.stores.requests import Listing, Query

Kind = Literal["training", "job"]
_COLLECTIONS: tuple[tuple[Kind, Literal["trainings", "jobs"]], ...] = (("training", "trainings"), ("job", "jobs"))
_SHOWN_CANDIDATES = 5
_READS_OF_NAMES = 20
_LAST_SIGN = "\U0010ffff"
_MOST_COUNTED = 10_000  # documents that are looked at to count them by status
_PAGE = 1000
_IDS_AT_ONCE = 400
_NOT_OF_A_FAILURE = ("config", "attempts", "trial", "tags", "artifacts", "evaluation", "progress", "resources")


@dataclass(frozen=True)
class TrainingFilter:
    """The trainings to list; a field of None does not filter."""

    status: TrainingStatus | None = None
    job_id: str | None = None
    dataset: str | None = None  # its name
    tag: str | None = None  # key=value
    name: str | None = None

    def is_empty(self) -> bool:
        """Whether it lets all pass."""
        return not self.where()

    def matches(self, row: TrainingRow) -> bool:
        """Whether a training passes."""
        return (
            self.status in (None, row.status)
            and self.job_id in (None, row.job_id)
            and self.dataset in (None, row.dataset.name)
            and (self.tag is None or self.tag in row.tags)
            and self.name in (None, row.name)
        )

    def where(self) -> dict[str, object]:
        fields = {
            "status": self.status.value if self.status else None,
            "job_id": self.job_id,
            "dataset.name": self.dataset,
            "tags": self.tag,
            "name": self.name,
        }
        return {path: value for path, value in fields.items() if value is not None}


class Failure(Document):
    """The part of a training that says how it failed."""

    stored_as: ClassVar[str] = "training"

    id: str
    status: TrainingStatus
    arrival: int
    created_at: UtcTime
    status_times: dict[str, UtcTime] = Field(default_factory=dict)
    error: TrainingErrorInfo | None = None

    def ended_at(self) -> datetime:
        """Returns when it failed."""
        return self.status_times.get(self.status, self.created_at)


@dataclass(frozen=True)
class Matches:
    """How many trainings pass a filter."""

    total: int
    by_status: Mapping[str, int] | None  # None: too many to count apart


class TrainingVerbs(Verbs):
    """Reads trainings for people."""

    def get_training(self, training_id: str) -> Training:
        """Returns the training. Raises NotFound, BrokenDocument."""
        training = self._database.read_one(Training, "trainings", training_id)
        if training is None:
            raise NotFound("training", training_id)
        return training

    def get_row(self, training_id: str) -> TrainingRow:
        """Returns the training without its config and error. Raises NotFound, BrokenDocument."""
        query = Query("trainings", {"_id": training_id}, limit=1, without=("config", "error"))
        for document in self._database.find(query):
            return TrainingRow.from_document(document)
        raise NotFound("training", training_id)

    def rows_by_id(self, training_ids: Sequence[str]) -> dict[str, TrainingRow | BrokenDocument]:
        """Returns those of the trainings that exist, by id, the unreadable ones too."""
        found: dict[str, TrainingRow | BrokenDocument] = {}
        for start in range(0, len(training_ids), _IDS_AT_ONCE):
            some = tuple(training_ids[start : start + _IDS_AT_ONCE])
            listing = self._database.read(TrainingRow, Query("trainings", {"_id": some}, without=("config", "error")))
            found |= {str(broken.key): broken for broken in listing.broken}
            found |= {row.id: row for row in listing.items}
        return found

    def list_trainings(
        self,
        filter: TrainingFilter,
        limit: int,
        after: tuple[int, str] | None = None,
        without: tuple[str, ...] = ("config", "error", "attempts"),
    ) -> Listing[TrainingRow]:
        """Returns trainings, newest first. `after` is the (arrival, id) of the last row of the page before: rows that
        are added meanwhile neither repeat nor hide any."""
        query = Query(
            "trainings",
            filter.where(),
            order=(("arrival", -1), ("_id", -1)),
            after=after,
            limit=limit,
            without=without,
        )
        return self._database.read(TrainingRow, query)

    def list_failures(self, status: TrainingStatus, limit: int) -> Listing[Failure]:
        """Returns the newest trainings of a status with their errors, by the index on status and arrival."""
        order: tuple[tuple[str, Literal[1, -1]], ...] = (("arrival", -1), ("_id", -1))
        query = Query("trainings", {"status": status}, order=order, limit=limit, without=_NOT_OF_A_FAILURE)
        return self._database.read(Failure, query)

    def iterate_trainings(self, filter: TrainingFilter, limit: int) -> Iterator[TrainingRow | BrokenDocument]:
        """Yields at most `limit` with their attempts, newest first, unreadable ones among them; holds a page at a
        time."""
        left, overlap = limit, 0
        after: tuple[int, str] | None = None
        known: set[str] = set()
        while left > 0:
            wanted = min(_PAGE, left) + overlap
            page = self.list_trainings(filter, wanted, after, without=("config", "error"))
            new = [broken for broken in page.broken if repr(broken.key) not in known]  # an `_id` may be an object
            known.update(repr(broken.key) for broken in new)
            yield from new
            yield from page.items[: max(0, left - len(new))]
            left -= len(page.items) + len(new)
            if len(page.items) + len(page.broken) < wanted:
                return
            if page.items:
                after = (page.items[-1].arrival, page.items[-1].id)
            overlap = len(page.broken)  # those behind the last readable one come again: they have no key

    def count_trainings(self, job_id: str | None = None) -> dict[str, int]:
        """Counts trainings by status, of all or of one job."""
        return self._database.count_statuses(job_id)

    def ids_beginning(
        self, prefix: str, limit: int, kinds: Sequence[Kind] = ("training", "job")
    ) -> list[tuple[str, str]]:
        """Returns at most `limit` ids of each kind that begin with `prefix`, and what each is; the newest ones if it is
        empty."""
        if not re.fullmatch(r"[0-9a-f-]{0,36}", prefix):
            return []
        order: tuple[tuple[str, Literal[1, -1]], ...] = (("_id", 1),)
        found = []
        for kind in kinds:
            query = Query(
                "trainings" if kind == "training" else "jobs",
                between=("_id", prefix, prefix + "g") if prefix else None,
                order=order if prefix else (("arrival", -1), ("_id", -1)),
                limit=limit,
                without=("config", "error", "attempts"),
            )
            for document in self._database.find(query):
                words = (kind, document.get("status"), document.get("name"))
                found.append((str(document["_id"]), " ".join(str(word) for word in words if word)))
        return found

    def names_beginning(self, prefix: str, limit: int) -> list[tuple[str, Kind]]:
        """Returns at most `limit` names of trainings and of jobs that begin with `prefix`, each once, and of what they
        are. Trials have the names of their jobs, so that a few names may take many reads: it stops after some."""
        found: dict[str, Kind] = {}
        for kind, collection in reversed(_COLLECTIONS):
            low, names = prefix, set[str]()
            for _ in range(_READS_OF_NAMES):
                between = ("name", low, prefix + _LAST_SIGN)
                without = ("config", "error", "attempts")
                query = Query(collection, between=between, order=(("name", 1),), limit=limit, without=without)
                page = [str(document["name"]) for document in self._database.find(query)]
                names |= {*page}
                if len(page) < limit or len(names) >= limit:
                    break
                low = page[-1] + "\x01"  # behind all with this name
            found = {**dict.fromkeys(sorted(names)[:limit], kind), **found}
        return sorted(found.items())[:limit]

    def count_matches(self, filter: TrainingFilter) -> Matches:
        """Counts the trainings that pass, by status where few do: their number alone is read from an index."""
        if filter == TrainingFilter(filter.status, filter.job_id):
            counts = self.count_trainings(filter.job_id)
            if filter.status is not None:
                counts = {status: n for status, n in counts.items() if status == filter.status}
            return Matches(sum(counts.values()), counts)
        total = self._count(filter)
        if total > _MOST_COUNTED or filter.status is not None:
            return Matches(total, None if filter.status is None else {filter.status.value: total})
        parts = {status.value: self._count(replace(filter, status=status)) for status in TrainingStatus}
        return Matches(total, {status: n for status, n in parts.items() if n})

    def _count(self, filter: TrainingFilter) -> int:
        return self._database.count(Query("trainings", filter.where()))

    def find_named(self, name: str) -> list[tuple[Kind, str]]:
        """Returns the newest trainings and jobs with this name, at most five of each. Trials of these jobs, which have
        their names, are left out."""
        found: list[tuple[Kind, str, str | None]] = []
        for kind, collection in _COLLECTIONS:
            query = Query(
                collection,
                {"name": name},
                order=(("arrival", -1), ("_id", -1)),
                limit=_SHOWN_CANDIDATES,
                without=("config", "error", "attempts"),
            )
            found += [(kind, document["_id"], document.get("job_id")) for document in self._database.find(query)]
        jobs = {id for kind, id, _ in found if kind == "job"}
        return [(kind, id) for kind, id, job in found if job is None or job not in jobs]

    def resolve_id(self, prefix: str) -> tuple[Kind, str]:
        """Returns the kind and id of the one training or job whose id starts with `prefix`. Raises NotFound,
        AmbiguousId."""
        wanted = prefix.strip().lower()
        if not re.fullmatch(r"[0-9a-f-]{1,36}", wanted):
            raise NotFound("training or job", prefix, "An id is a GUID, or the beginning of one.")
        found: list[tuple[Kind, str]] = []
        for kind, collection in _COLLECTIONS:
            query = Query(
                collection,
                between=("_id", wanted, wanted + "g"),  # g follows f, the last hexadecimal digit
                order=(("_id", 1),),
                limit=_SHOWN_CANDIDATES,
                without=("config", "error", "attempts"),
            )
            found += [(kind, document["_id"]) for document in self._database.find(query)]
        if not found:
            raise NotFound("training or job", prefix)
        if len(found) > 1:
            raise AmbiguousId(prefix, [id for _, id in found[:_SHOWN_CANDIDATES]])
        return found[0]
