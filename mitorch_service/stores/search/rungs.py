"""Verbs of rungs, for early stopping and promotion: the losses of a job's trials after the same number of epochs, their
ranks, and which trials are paused there.

The mark of a paused trial only serves to find it: its training's status decides. The mark is set before the training
becomes paused, and removed after it was resumed, so that a trial whose run or pass dies in between is found again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from mitorch_service.errors import StaleAttempt
from mitorch_service.models.fair_share.share import shares_of
from mitorch_service.models.search.population import MemberReplacement
from mitorch_service.models.search.rung import RungRecord
from mitorch_service.models.status import OPEN, TrainingStatus
from mitorch_service.models.training import TrainingRow
from mitorch_service.stores.primitives import Verbs
from mitorch_service.stores.requests import Guarded, Query
from mitorch_service.stores.transitions import change_training

_WITHOUT_BULK = ("config", "error")
_IDS_AT_ONCE = 400
_KINDS = {"number": int, "loss": float, "attempt": int}
_BEST_FIRST: tuple[tuple[str, Literal[1]], ...] = (("loss", 1), ("_id", 1))


class RungVerbs(Verbs):
    """Records and ranks trials at rungs, and resumes paused ones. Losses: lower is better, never NaN."""

    def record_trial_value(self, training_id: str, attempt: int, epochs: int, value: float) -> None:
        """Records the best objective of the first `epochs` epochs, as measured. Raises StaleAttempt."""
        expect = {"status": OPEN, "fence": (attempt,)}
        if self._database.change(Guarded("trainings", training_id, expect, {f"trial.curve.{epochs}": value})) is None:
            raise StaleAttempt(training_id, attempt)

    def record_rung(
        self, job_id: str, number: int, attempt: int, bracket: int, epochs: int, loss: float, paused: bool = False
    ) -> bool:
        """Records the loss of trial `number` after `epochs`, in place of an earlier attempt's. False if a later attempt
        has recorded its own. `paused`: the trial pauses there."""
        document = {
            "_id": f"{job_id}:{bracket}:{epochs}:{number}",
            "job_id": job_id,
            "bracket": bracket,
            "epochs": epochs,
            "number": number,
            "loss": float(loss),
            "attempt": attempt,
            "paused": paused,
        }
        return self._database.put("rungs", document, fence="attempt")

    def count_rung(self, job_id: str, epochs: int, paused: bool = False) -> int:
        """Counts the trials that reached the rung; or only those that are paused there."""
        where: dict[str, object] = {"job_id": job_id, "bracket": 0, "epochs": epochs}
        return self._database.count(Query("rungs", where | {"paused": True} if paused else where))

    def best_paused(self, job_id: str, epochs: int, limit: int) -> list[RungRecord]:
        """Returns the trials that are paused on a rung, best first."""
        where = {"job_id": job_id, "bracket": 0, "paused": True, "epochs": epochs}
        return self._records(Query("rungs", where, order=_BEST_FIRST, limit=limit))

    def rung_records(self, job_id: str, epochs: int, limit: int) -> list[RungRecord]:
        """Returns the trials that reached a rung, best first."""
        where = {"job_id": job_id, "bracket": 0, "epochs": epochs}
        return self._records(Query("rungs", where, order=_BEST_FIRST, limit=limit))

    def some_rung_records(self, job_id: str, limit: int) -> list[RungRecord]:
        """Returns any records of a job, as long as there are some."""
        between = ("_id", f"{job_id}:", f"{job_id};")
        return self._records(Query("rungs", between=between, order=(("_id", 1),), limit=limit))

    def forget_paused(self, record: RungRecord) -> bool:
        """Removes the mark of a paused trial. False if a later attempt has recorded its own since."""
        expect = {"attempt": (record.attempt,)}
        return self._database.change(Guarded("rungs", record.id, expect, {"paused": False})) is not None

    def remove_rung_records(self, records: Sequence[RungRecord]) -> None:
        """Deletes the records, unless a later attempt has replaced them."""
        for record in records:
            self._database.remove("rungs", record.id, {"attempt": (record.attempt,)})

    def rows_among(self, training_ids: Sequence[str]) -> dict[str, TrainingRow]:
        """Returns those of the trainings that exist and can be read, by id."""
        found: dict[str, TrainingRow] = {}
        for start in range(0, len(training_ids), _IDS_AT_ONCE):
            some = tuple(training_ids[start : start + _IDS_AT_ONCE])
            query = Query("trainings", {"_id": some}, without=_WITHOUT_BULK)
            found |= {row.id: row for row in self._database.read(TrainingRow, query).items}
        return found

    def resume_trial(
        self,
        row: TrainingRow,
        pause_at: int | None,
        priority: int,
        at: datetime,
        replacement: MemberReplacement | None = None,
    ) -> bool:
        """Puts a paused trial (with a `replacement`, also a failed or diverged one) back to `new`, to run until it
        pauses at `pause_at` (None: to its end), with fresh budgets. Exactly one caller gets True for what it saw in
        `row`. Raises ValueError if `row` has not ended, or is completed."""
        changes: dict[str, object] = {
            "priority": priority,
            "trial.pause_at": pause_at,
            "budget_from": row.attempt,
            "fence": 0,
            "error": None,
            "shares": shares_of(row.tags, row.submitted_by),  # which versions before had not
        }
        if replacement is not None:
            changes["config"] = dict(replacement.config)
            changes["trial.parameters"] = replacement.inheritance.after
            changes["trial.options"] = dict(replacement.options)
            changes[f"trial.lineage.{replacement.lineage_index}"] = replacement.inheritance.to_document()
        expect = {"attempt": (row.attempt,), "cancel_requested_at": (None,)}
        change = change_training(row.id, (row.status,), TrainingStatus.NEW, at, expect, changes)
        return self._database.change(change) is not None

    def standing(self, job_id: str, bracket: int, epochs: int, loss: float) -> tuple[int, int]:
        """Counts the trials of a bracket that reached the rung, and those of them with a lower loss: two counts along
        one index."""
        where = {"job_id": job_id, "bracket": bracket, "epochs": epochs}
        reached = self._database.count(Query("rungs", where))
        return reached, self._database.count(Query("rungs", where, between=("loss", float("-inf"), float(loss))))

    def remove_rungs(self, job_id: str) -> int:
        """Deletes all records of a job; returns how many."""
        return self._database.remove_between("rungs", f"{job_id}:", f"{job_id};")

    def _records(self, query: Query) -> list[RungRecord]:
        """Leaves out what is no record: its trial is then compared as one that has not come so far."""
        found = [d for d in self._database.find(query) if all(isinstance(d.get(f), k) for f, k in _KINDS.items())]
        return [RungRecord(d["_id"], d["number"], d["loss"], d["attempt"]) for d in found]
