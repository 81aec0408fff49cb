"""The verbs of early stopping and of promotion: the losses of a job's trials after as many epochs, how one of them
stands, and which wait there to be taken on.

The mark that a trial waits is a hint by which it is found: whether it does is what its training says. The mark is set
before the training ends as paused, and taken away after it was taken on, so that what dies in between is found again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from mitorch_service.errors import StaleAttempt
from mitorch_service.models.population import MemberReplacement
from mitorch_service.models.rung import RungRecord
from mitorch_service.models.status import ACTIVE, TrainingStatus
from mitorch_service.models.training import TrainingRow
from mitorch_service.stores.primitives import Primitives
from mitorch_service.stores.query import Guarded, Query

_WITHOUT_BULK = ("config", "error")
_IDS_AT_ONCE = 400
_BEST_FIRST: tuple[tuple[str, Literal[1]], ...] = (("loss", 1), ("_id", 1))


_WRITABLE = ("new", *(status.value for status in ACTIVE))  # see RunVerbs


class RungVerbs(Primitives):
    """What a running trial writes and asks at the end of an epoch. Losses: lower is better, never NaN."""

    def record_trial_value(self, training_id: str, attempt: int, epochs: int, value: float) -> None:
        """The best objective of so many epochs, as measured. Raises StaleAttempt."""
        expect = {"status": _WRITABLE, "fence": (attempt,)}
        if self.change(Guarded("trainings", training_id, expect, {f"trial.curve.{epochs}": value})) is None:
            raise StaleAttempt(training_id, attempt)

    def record_rung(
        self, job_id: str, number: int, attempt: int, bracket: int, epochs: int, loss: float, paused: bool = False
    ) -> bool:
        """The loss of trial `number` after so many epochs, in place of an earlier attempt's. False if a later attempt
        has written its own. `paused`: it will wait there to be taken on."""
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
        return self.put("rungs", document, fence="attempt")

    def count_rung(self, job_id: str, epochs: int, paused: bool = False) -> int:
        """How many trials reached the rung; or only those that wait there."""
        where: dict[str, Any] = {"job_id": job_id, "bracket": 0, "epochs": epochs}
        return self.count(Query("rungs", where | {"paused": True} if paused else where))

    def best_paused(self, job_id: str, epochs: int, limit: int) -> list[RungRecord]:
        """Those that wait on a rung, best first."""
        where = {"job_id": job_id, "bracket": 0, "paused": True, "epochs": epochs}
        return self._records(Query("rungs", where, order=_BEST_FIRST, limit=limit))

    def rung_records(self, job_id: str, epochs: int, limit: int) -> list[RungRecord]:
        """All that reached a rung, best first."""
        where = {"job_id": job_id, "bracket": 0, "epochs": epochs}
        return self._records(Query("rungs", where, order=_BEST_FIRST, limit=limit))

    def some_rung_records(self, job_id: str, limit: int) -> list[RungRecord]:
        """Any of a job, for as long as there are some."""
        between = ("_id", f"{job_id}:", f"{job_id};")
        return self._records(Query("rungs", between=between, order=(("_id", 1),), limit=limit))

    def forget_paused(self, record: RungRecord) -> bool:
        """The trial does not wait there any more. False if a later attempt has written since."""
        expect = {"attempt": (record.attempt,)}
        return self.change(Guarded("rungs", record.id, expect, {"paused": False})) is not None

    def remove_rung_records(self, records: Sequence[RungRecord]) -> None:
        """Deletes these."""
        for record in records:
            self.remove("rungs", record.id, {"attempt": (record.attempt,)})

    def rows_among(self, training_ids: Sequence[str]) -> dict[str, TrainingRow]:
        """Those of the trainings that are there and can be read, by id."""
        found: dict[str, TrainingRow] = {}
        for start in range(0, len(training_ids), _IDS_AT_ONCE):
            some = tuple(training_ids[start : start + _IDS_AT_ONCE])
            query = Query("trainings", {"_id": some}, without=_WITHOUT_BULK)
            found |= {row.id: row for row in self.read(TrainingRow, query).items}
        return found

    def resume_trial(
        self,
        row: TrainingRow,
        pause_at: int | None,
        priority: int,
        at: datetime,
        replacement: MemberReplacement | None = None,
    ) -> bool:
        """A trial that is paused (or, where there is a `replacement`, failed or diverged) goes back to `new`, to run on
        up to `until` (None: to its end), with fresh budgets. Exactly one caller gets True for what it saw in `row`."""
        changes: dict[str, Any] = {
            "status": TrainingStatus.NEW.value,
            "status_times.new": at,
            "priority": priority,
            "trial.pause_at": pause_at,
            "budget_from": row.attempt,
            "fence": 0,
            "error": None,
        }
        if replacement is not None:
            changes["config"] = dict(replacement.config)
            changes["trial.parameters"] = replacement.inheritance.after
            changes[f"trial.lineage.{replacement.lineage_index}"] = replacement.inheritance.to_document()
        expect = {"status": (row.status.value,), "attempt": (row.attempt,), "cancel_requested_at": (None,)}
        return self.change(Guarded("trainings", row.id, expect, changes)) is not None

    def standing(self, job_id: str, bracket: int, epochs: int, loss: float) -> tuple[int, int]:
        """How many trials of a bracket reached the rung, and how many of them have a lower loss: two counts along one
        index."""
        where = {"job_id": job_id, "bracket": bracket, "epochs": epochs}
        reached = self.count(Query("rungs", where))
        return reached, self.count(Query("rungs", where, between=("loss", float("-inf"), float(loss))))

    def remove_rungs(self, job_id: str) -> int:
        """All of a job; returns how many."""
        return self.remove_between("rungs", f"{job_id}:", f"{job_id};")

    def _records(self, query: Query) -> list[RungRecord]:
        return [RungRecord(d["_id"], d["number"], d["loss"], d["attempt"]) for d in self.find(query)]
