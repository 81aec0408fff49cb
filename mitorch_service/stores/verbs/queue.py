"""Verbs of the queue: adding trainings, assigning them to clusters, taking them back."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from datetime import datetime
from typing import Literal

from mitorch_service.errors import NotAllowed, NotFound
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.fair_share.share import By, shares_of
from mitorch_service.models.status import ACTIVE, ENDED, OPEN, RETRYABLE, AttemptOutcome, TrainingStatus
from mitorch_service.models.training import MAX_ATTEMPTS, Attempt, Training, TrainingErrorInfo, TrainingRow
from mitorch_service.stores.primitives import Verbs
from mitorch_service.stores.requests import Guarded, Listing, Query
from mitorch_service.stores.transitions import budget_marks, change_training, ended_attempt, stored_statuses

_WITHOUT_BULK = ("config", "error")
_BELOW_ALL = -(2**63)
_ABOVE_ALL = "\U0010ffff"
_ORDER: tuple[tuple[str, Literal[1]], ...] = (("priority", 1), ("arrival", 1), ("_id", 1))
_SUBMIT_AGAIN = "Submit it again instead."
_PRESUMED = (AttemptOutcome.LOST, AttemptOutcome.REFUSED)


class QueueVerbs(Verbs):
    """Adds trainings, assigns them to clusters, and changes or deletes them on request."""

    def add_trainings(self, trainings: Sequence[Training]) -> int:
        """Queues trainings. One whose id is there already is left untouched, so that a repeat after a lost answer
        adds nothing twice. Returns how many were added."""
        return self._database.insert("trainings", (training.to_document() for training in trainings))

    def queue_head(self, limit: int, behind: TrainingRow | None = None) -> Listing[TrainingRow]:
        """Returns the next new trainings: lowest priority number first, then first come first served. `behind`: those
        that are served after this one."""
        query = Query(
            "trainings",
            {"status": TrainingStatus.NEW},
            order=_ORDER,
            after=None if behind is None else (behind.priority, behind.arrival, behind.id),
            limit=limit,
            without=_WITHOUT_BULK,
        )
        return self._database.read(TrainingRow, query)

    def head_of_dataset(self, dataset: DatasetRef, limit: int) -> Listing[TrainingRow]:
        """Returns the next new trainings of this version of a data set, in the order of `queue_head`."""
        where = {"status": TrainingStatus.NEW, "dataset.name": dataset.name, "dataset.version": dataset.version}
        query = Query("trainings", where, order=_ORDER, limit=limit, without=_WITHOUT_BULK)
        return self._database.read(TrainingRow, query)

    def waiting_shares(self, by: By, limit: int) -> list[str]:
        """Returns the users or teams of which new trainings wait, in the order of their names: one look into an index
        for each."""
        path, found = f"shares.{by}", [""]
        without = (*_WITHOUT_BULK, "attempts", "trial")
        while len(found) <= limit:
            query = Query(
                "trainings",
                {"status": TrainingStatus.NEW},
                between=(path, "", _ABOVE_ALL),
                order=((path, 1),),
                after=(found[-1],),
                limit=1,
                without=without,
            )
            document = next(iter(self._database.find(query)), None)
            if document is None:
                break
            found.append(str(document["shares"][by]))
        return found

    def head_of_share(self, by: By, share: str, limit: int) -> Listing[TrainingRow]:
        """Returns the next new trainings of a user or team, in the order of `queue_head`."""
        where = {"status": TrainingStatus.NEW, f"shares.{by}": share}
        query = Query("trainings", where, order=_ORDER, limit=limit, without=_WITHOUT_BULK)
        return self._database.read(TrainingRow, query)

    def count_ahead(self, training: TrainingRow) -> int:
        """Counts the new trainings that are served before it, of those that arrived in another microsecond. Two counts
        by the queue's index: their time grows with the answer."""
        urgent = Query("trainings", {"status": TrainingStatus.NEW}, between=("priority", _BELOW_ALL, training.priority))
        same = {"status": TrainingStatus.NEW, "priority": training.priority}
        earlier = Query("trainings", same, between=("arrival", _BELOW_ALL, training.arrival))
        return self._database.count(urgent) + self._database.count(earlier)

    def active_trainings(self) -> Listing[TrainingRow]:
        """Returns all trainings that are queued on a cluster or running, in no particular order."""
        return self._database.read(TrainingRow, Query("trainings", {"status": ACTIVE}, without=_WITHOUT_BULK))

    def claim_training(self, training_id: str, attempt: Attempt) -> bool:
        """Records the intention to run this attempt on its cluster: `new` -> `queued`. Exactly one caller gets True
        for one attempt number, which must be the training's last one plus one."""
        return self.claim_trainings([(training_id, attempt)]) == [True]

    def claim_trainings(self, claims: Sequence[tuple[str, Attempt]], announced: Container[str] = ()) -> list[bool]:
        """`claim_training` for many, each guarded by itself. `announced`: ids of those whose end webhooks want to be
        told."""
        return self._database.change_all([_claim(id, attempt, id in announced) for id, attempt in claims])

    def record_submissions(self, submissions: Sequence[tuple[str, int, str | None]], at: datetime) -> list[bool]:
        """Notes that the cluster has accepted the runs of these (training id, attempt, url)."""
        return self._database.change_all([_submission(id, attempt, at, url) for id, attempt, url in submissions])

    def record_submission(self, training_id: str, attempt: int, at: datetime, url: str | None) -> bool:
        """`record_submissions` for one."""
        return self.record_submissions([(training_id, attempt, url)], at) == [True]

    def end_attempt(
        self,
        training_id: str,
        attempt: int,
        at: datetime,
        outcome: AttemptOutcome,
        status: TrainingStatus,
        error: TrainingErrorInfo,
        before: tuple[TrainingStatus, ...] = ACTIVE,
        of_data: bool = False,
        preempted: bool = False,
        timed_out: bool = False,
    ) -> bool:
        """Ends an attempt whose run will not report its own end: a status of `before` -> `status`. False if the
        training has changed meanwhile: what its run wrote itself is kept, if only that it has started. `of_data`: its
        data set was refused. `preempted`: its node was taken away; `timed_out`: by its cluster's time limit."""
        row = self._row_of_attempt(training_id, attempt)
        at = at if row is None else row.attempts[attempt - 1].not_before(at)  # its run may have started since
        as_read = {} if row is None else {"worker": (row.worker,)}
        changes = {
            **ended_attempt(attempt, outcome, error.message, at),
            **budget_marks(row, attempt, outcome, preempted, timed_out),
            **({f"attempts.{attempt - 1}.of_data": True} if of_data else {}),
            "error": error.to_document(),
            # a run that is only presumed lost may still write, until the next attempt is claimed
            "fence": attempt if outcome in _PRESUMED and status == TrainingStatus.NEW else 0,
        }
        change = change_training(training_id, before, status, at, {"attempt": (attempt,), **as_read}, changes)
        return self._database.change(change) is not None

    def note_found(self, found: Sequence[tuple[str, Attempt, str | None]], at: datetime) -> None:
        """Notes that clusters know the runs of these active attempts (training id, attempt as it was read, url): when
        they were found, unless their submission is recorded, and where a person can view them."""
        self._database.change_all([_found(id, attempt, url, at) for id, attempt, url in found])

    def note_missing(self, training_id: str, attempt: int, at: datetime) -> bool:
        """Notes when a pass found that a cluster does not know the run of an active attempt any more."""
        changes = {f"attempts.{attempt - 1}.missing_at": at}
        guarded = Guarded("trainings", training_id, {"status": ACTIVE, "attempt": (attempt,)}, changes)
        return self._database.change(guarded) is not None

    def note_silence(self, training_id: str, attempt: int, at: datetime) -> bool:
        """Notes when a pass found that the run of an active training has fallen silent."""
        return self._change_active(training_id, attempt, {f"attempts.{attempt - 1}.silent_at": at})

    def revoke_fence(self, training_id: str, attempt: int) -> bool:
        """Takes from a run that has fallen silent the right to write; the attempt is not ended."""
        return self._change_active(training_id, attempt, {"fence": 0})

    def _change_active(self, training_id: str, attempt: int, changes: Mapping[str, object]) -> bool:
        expect = {"status": ACTIVE, "attempt": (attempt,), "fence": (attempt,)}
        return self._database.change(Guarded("trainings", training_id, expect, changes)) is not None

    def request_cancel(self, training_id: str, at: datetime) -> TrainingRow:
        """Cancels a new training at once, and records the request for a queued or running one; the row returned says
        where its run is. Raises NotFound; NotAllowed if it has ended otherwise."""
        for _ in range(3):  # the status may change between the two guarded steps, but only forward
            request = {"cancel_requested_at": at}
            at_once = change_training(training_id, (TrainingStatus.NEW,), TrainingStatus.CANCELED, at, {}, request)
            done = self._database.change(at_once)
            if done is None:
                done = self._database.change(Guarded("trainings", training_id, {"status": ACTIVE}, request))
            if done is not None:
                return TrainingRow.from_document(done)
            row = self._get_row(training_id)
            if row.status == TrainingStatus.CANCELED:
                return row
            if row.status in ENDED:
                raise NotAllowed("training", training_id, row.status, "canceled", "It has ended.")
        raise NotAllowed("training", training_id, "changing", "canceled", "Try again.")

    def retry_training(self, training_id: str, at: datetime, to_its_end: bool = False) -> None:
        """Puts an ended training back to `new`, with fresh budgets; with `to_its_end` a trial pauses no more. Raises
        NotFound; NotAllowed if it is completed, has not ended, was imported, or was tried too often."""
        row = self._get_row(training_id)
        changes = {
            "cancel_requested_at": None,
            "budget_from": row.attempt,
            "fence": 0,
            "error": None,
            "shares": shares_of(row.tags, row.submitted_by),  # which versions before had not
            **({"trial.pause_at": None} if to_its_end else {}),
        }
        if row.imported_from is not None:
            remedy = "Nothing here can run it: submit a config or script of your own."
            raise NotAllowed("training", training_id, f"imported from {row.imported_from.system}", "retried", remedy)
        if row.attempt >= MAX_ATTEMPTS:
            raise NotAllowed("training", training_id, f"at its {row.attempt}th attempt", "retried", _SUBMIT_AGAIN)
        expect = {"attempt": (row.attempt,)}
        change = change_training(training_id, RETRYABLE, TrainingStatus.NEW, at, expect, changes)
        if self._database.change(change) is None:
            status = self._get_row(training_id).status
            remedy = "It has not ended." if status in OPEN else _SUBMIT_AGAIN
            raise NotAllowed("training", training_id, status, "retried", remedy)

    def set_priority(self, training_id: str, priority: int) -> None:
        """Changes the place in the queue. Raises NotFound; NotAllowed if the training has ended."""
        if self._database.change(Guarded("trainings", training_id, {"status": OPEN}, {"priority": priority})) is None:
            status = self._get_row(training_id).status
            raise NotAllowed("training", training_id, status, "given a priority", "It has ended.")

    def delete_training(self, training_id: str) -> None:
        """Deletes an ended training with its results. Raises NotFound; NotAllowed if it has not ended."""
        row = self._get_row(training_id)
        if row.status not in ENDED:
            raise NotAllowed("training", training_id, row.status, "deleted", "Cancel it first.")
        self._database.remove_between("training_results", f"{training_id}:", f"{training_id};")
        if not self._database.remove("trainings", training_id, {"status": stored_statuses([row.status])}):
            raise NotAllowed("training", training_id, "being changed", "deleted", "Try again.")

    def quarantine_training(self, training_id: object, at: datetime, reason: str, announced: bool = False) -> bool:
        """Fails a training whose document cannot be read, so that it neither blocks the queue nor disappears.
        `announced`: whether webhooks want to be told."""
        self._database.mend("trainings", training_id)
        error = {"type": "BrokenDocument", "message": reason, "log_tail": []}
        changes = {"status_times": {TrainingStatus.FAILED.value: at}, "error": error}  # the times may be what is broken
        changes |= {"announce_end": True} if announced else {}
        change = change_training(training_id, OPEN, TrainingStatus.FAILED, at, {}, changes)
        return self._database.change(change) is not None

    def _get_row(self, training_id: str) -> TrainingRow:
        query = Query("trainings", {"_id": training_id}, limit=1, without=_WITHOUT_BULK)
        for document in self._database.find(query):
            return TrainingRow.from_document(document)
        raise NotFound("training", training_id)


def _claim(training_id: str, attempt: Attempt, announced: bool) -> Guarded:
    number = attempt.number
    changes = {
        **({"announce_end": True} if announced else {}),
        "attempt": number,
        "fence": number,
        "worker": None,
        f"attempts.{number - 1}": attempt.to_document(),
        "progress": None,
    }
    before, after = (TrainingStatus.NEW,), TrainingStatus.QUEUED
    return change_training(training_id, before, after, attempt.queued_at, {"attempt": (number - 1,)}, changes)


def _found(training_id: str, attempt: Attempt, url: str | None, at: datetime) -> Guarded:
    path, expect = f"attempts.{attempt.number - 1}", {"status": ACTIVE, "attempt": (attempt.number,)}
    changes: dict[str, object] = {f"{path}.url": url or attempt.url, f"{path}.missing_at": None}
    if attempt.submitted_at is None:
        changes[f"{path}.submitted_at"] = max(at, attempt.queued_at)
    return Guarded("trainings", training_id, expect, changes)


def _submission(training_id: str, attempt: int, at: datetime, url: str | None) -> Guarded:
    changes: dict[str, object] = {f"attempts.{attempt - 1}.submitted_at": at}
    if url is not None:  # else the run itself may have told it
        changes[f"attempts.{attempt - 1}.url"] = url
    return Guarded("trainings", training_id, {"attempt": (attempt,)}, changes)
