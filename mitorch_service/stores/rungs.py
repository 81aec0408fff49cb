"""The verbs of early stopping: the losses of a job's trials after as many epochs, and how one of them stands."""

from __future__ import annotations

from mitorch_service.errors import StaleAttempt
from mitorch_service.models.status import ACTIVE
from mitorch_service.stores.primitives import Primitives
from mitorch_service.stores.query import Guarded, Query

_WRITABLE = ("new", *(status.value for status in ACTIVE))  # see RunVerbs


class RungVerbs(Primitives):
    """What a running trial writes and asks at the end of an epoch. Losses: lower is better, never NaN."""

    def record_trial_value(self, training_id: str, attempt: int, epochs: int, value: float) -> None:
        """The best objective of so many epochs, as measured. Raises StaleAttempt."""
        expect = {"status": _WRITABLE, "fence": (attempt,)}
        if self.change(Guarded("trainings", training_id, expect, {f"trial.curve.{epochs}": value})) is None:
            raise StaleAttempt(training_id, attempt)

    def record_rung(self, job_id: str, number: int, attempt: int, bracket: int, epochs: int, loss: float) -> bool:
        """The loss of trial `number` after so many epochs, in place of an earlier attempt's. False if a later attempt
        has written its own."""
        document = {
            "_id": f"{job_id}:{bracket}:{epochs}:{number}",
            "job_id": job_id,
            "bracket": bracket,
            "epochs": epochs,
            "loss": float(loss),
            "attempt": attempt,
        }
        return self.put("rungs", document, fence="attempt")

    def standing(self, job_id: str, bracket: int, epochs: int, loss: float) -> tuple[int, int]:
        """How many trials of a bracket reached the rung, and how many of them have a lower loss: two counts along one
        index."""
        where = {"job_id": job_id, "bracket": bracket, "epochs": epochs}
        reached = self.count(Query("rungs", where))
        return reached, self.count(Query("rungs", where, between=("loss", float("-inf"), float(loss))))

    def remove_rungs(self, job_id: str) -> int:
        """All of a job; returns how many."""
        return self.remove_between("rungs", f"{job_id}:", f"{job_id};")
