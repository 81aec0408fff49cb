"""Verbs of a job's Pareto front.

A trial of several objectives is marked by the very write that ends it, and the mark goes after the job's front was
written, which had been merged with its values. So whatever dies in between, no trial is overlooked: at worst one is
merged again, which changes nothing. The front's version guards it against a pass that has read an earlier one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mitorch_service.models.search.pareto_front import FrontTrial
from mitorch_service.models.status import ACTIVE_JOBS, TrainingStatus
from mitorch_service.models.training import TrainingRow
from mitorch_service.stores.primitives import Verbs
from mitorch_service.stores.requests import Guarded, Listing, Query

_WITHOUT_BULK = ("config", "error", "attempts")


class FrontVerbs(Verbs):
    """Reads and writes the front of a job with several objectives."""

    def unmerged_trials(self, job_id: str, limit: int) -> Listing[TrainingRow]:
        """Returns completed trials that are not merged into the job's front, in no particular order."""
        return self._database.read(
            TrainingRow, Query("trainings", {"trial.unmerged": job_id}, limit=limit, without=_WITHOUT_BULK)
        )

    def trials_of_front(self, front: Iterable[FrontTrial]) -> list[TrainingRow]:
        """Returns the trainings of a front, in its order; without those that are gone."""
        ids = [trial.training_id for trial in front]
        if not ids:
            return []
        rows = self._database.read(TrainingRow, Query("trainings", {"_id": tuple(ids)}, without=_WITHOUT_BULK)).items
        return sorted(rows, key=lambda row: ids.index(row.id))

    def store_front(self, job_id: str, version: int | None, front: Sequence[FrontTrial]) -> bool:
        """Writes the front of an active job in place of that version; None: there was none. False if another pass was
        faster, or the job has ended."""
        changes = {"front": [trial.to_document() for trial in front], "front_version": (version or 0) + 1}
        expect = {"status": ACTIVE_JOBS, "front_version": (version,)}
        return self._database.change(Guarded("jobs", job_id, expect, changes)) is not None

    def mark_merged(self, training_ids: Sequence[str]) -> None:
        """Records that these trials are merged into the front."""
        expect = {"status": (TrainingStatus.COMPLETED,)}
        self._database.change_all([Guarded("trainings", id, expect, {"trial.unmerged": None}) for id in training_ids])
