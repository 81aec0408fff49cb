"""Verbs of studies: jobs and trials as a user's Optuna script reads and writes them.

A trial that a script runs is a training that no cluster can get: its status is `canceled` until the script
ends it, and all its attempts are used up, so that a retry is refused too. `optuna_state` says how far it
really is; trainings of the service's own have none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Literal

from mitorch_service.errors import AmbiguousId
from mitorch_service.models.search.job import Job
from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import Training
from mitorch_service.stores.epoch_records import record_id
from mitorch_service.stores.primitives import Verbs
from mitorch_service.stores.requests import Guarded, Query, StoredDocument
from mitorch_service.stores.transitions import end_script_trial

Place = tuple[int, str]  # (arrival, id) of the last document of a page

_START: Place = (-(2**63), "")
_OLDEST_FIRST: tuple[tuple[str, Literal[1]], ...] = (("arrival", 1), ("_id", 1))
_WITHOUT_BULK = ("config", "attempts")
_PAGE = 1000
_IDS_AT_ONCE = 400


class StudyVerbs(Verbs):
    """Reads and writes of a storage of studies: documents as they are stored, without their `config`."""

    def add_study(self, job: Job, fields: Mapping[str, object]) -> bool:
        """Adds a job with further fields; False if one with its id is there already."""
        return self._database.insert("jobs", [{**job.to_document(), **fields}]) == 1

    def study_jobs(self) -> Iterator[StoredDocument]:
        """Yields all jobs, oldest first."""
        after: Place | None = _START
        while after is not None:
            query = Query("jobs", order=_OLDEST_FIRST, after=after, limit=_PAGE, without=_WITHOUT_BULK)
            page = list(self._database.find(query))
            yield from page
            after = (page[-1]["arrival"], page[-1]["_id"]) if len(page) == _PAGE else None

    def study_job(self, prefix: str) -> StoredDocument | None:
        """Returns the job whose id begins with `prefix`, or None. Raises AmbiguousId."""
        between = ("_id", prefix, prefix + "g")  # g follows f, the last hexadecimal digit
        found = list(
            self._database.find(Query("jobs", between=between, order=(("_id", 1),), limit=2, without=_WITHOUT_BULK))
        )
        if len(found) > 1:
            raise AmbiguousId(prefix, [document["_id"] for document in found])
        return found[0] if found else None

    def change_study(
        self, job_id: str, expect: Mapping[str, tuple[object, ...]], changes: Mapping[str, object]
    ) -> bool:
        """Sets fields of a job, but its status. False if it is gone, or a guarded top-level field differs."""
        return self._database.change(Guarded("jobs", job_id, expect, changes)) is not None

    def remove_study(self, job_id: str, arrival: int) -> bool:
        """Deletes the job that arrived then, its trials and their results; False if it was gone already."""
        self._remove_study_trials(job_id)
        removed = self._database.remove("jobs", job_id, {"arrival": (arrival,)})
        self._remove_study_trials(job_id)  # those added before the job was gone
        return removed

    def add_study_trial(self, training: Training, fields: Mapping[str, object]) -> bool:
        """Adds a trial with further fields; False if one with its id is there already."""
        return self._database.insert("trainings", [{**training.to_document(), **fields}]) == 1

    def change_study_trial(
        self, training_id: str, expect: Mapping[str, tuple[object, ...]], changes: Mapping[str, object]
    ) -> StoredDocument | None:
        """Sets fields of a trial, but its status, if the guarded top-level ones are as expected; the document after it,
        else None."""
        return self._database.change(Guarded("trainings", training_id, expect, changes))

    def end_study_trial(
        self,
        training_id: str,
        status: TrainingStatus,
        at: datetime,
        expect: Mapping[str, tuple[object, ...]],
        changes: Mapping[str, object],
    ) -> StoredDocument | None:
        """`change_study_trial` with the status in which the script has ended the trial."""
        return self._database.change(end_script_trial(training_id, status, at, expect, changes))

    def record_study_value(
        self,
        training_id: str,
        expect: Mapping[str, tuple[object, ...]],
        changes: Mapping[str, object],
        step: int,
        record: Mapping[str, object],
    ) -> StoredDocument | None:
        """Makes `change_study_trial`, and if it was made stores the record of a step, in place of an earlier one."""
        change = Guarded("trainings", training_id, expect, changes)
        document = _record(training_id, step, record)
        return self._database.change_then_put(change, "training_results", document, fence="attempt")

    def add_study_values(self, training_id: str, records: Mapping[int, Mapping[str, object]]) -> None:
        """Adds the records of the steps of a trial that was just added."""
        self._database.insert(
            "training_results", [_record(training_id, step, record) for step, record in records.items()]
        )

    def study_trial(self, training_id: str) -> StoredDocument | None:
        """Returns the trial, or None."""
        return next(self.study_trials_among([training_id]), None)

    def study_trials_among(self, training_ids: Sequence[str]) -> Iterator[StoredDocument]:
        """Yields those of the trials that exist, in no particular order."""
        for start in range(0, len(training_ids), _IDS_AT_ONCE):
            some = tuple(training_ids[start : start + _IDS_AT_ONCE])
            yield from self._database.find(Query("trainings", {"_id": some}, without=_WITHOUT_BULK))

    def study_trials(self, job_id: str, after: Place | None = None) -> Iterator[StoredDocument]:
        """Yields the trials of a job behind a place, by number, holding a page at a time."""
        place = after or _START
        while True:
            query = Query(
                "trainings",
                {"job_id": job_id},
                order=_OLDEST_FIRST,
                after=place,
                limit=_PAGE,
                without=_WITHOUT_BULK,
            )
            page = list(self._database.find(query))
            yield from page
            if len(page) < _PAGE:
                return
            place = (page[-1]["arrival"], page[-1]["_id"])

    def _remove_study_trials(self, job_id: str) -> None:
        while page := list(
            self._database.find(Query("trainings", {"job_id": job_id}, limit=_PAGE, without=_WITHOUT_BULK))
        ):
            for trial in page:
                self._database.remove_between("training_results", f"{trial['_id']}:", f"{trial['_id']};")
                self._database.remove("trainings", trial["_id"], {"arrival": (trial["arrival"],)})


def _record(training_id: str, step: int, record: Mapping[str, object]) -> dict[str, object]:
    return {"_id": record_id(training_id, step), "training_id": training_id, **record}
