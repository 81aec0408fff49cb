"""Reads the best paused trials of each rung of a search with promotion."""

from __future__ import annotations

from collections.abc import Mapping

from mitorch_service.controller.plan.search.paused_trials import rungs_of
from mitorch_service.controller.plan.search.promotion import PausedTrial, PromotionPlan
from mitorch_service.models.search.job import Job, trial_id
from mitorch_service.models.search.rung import RungRecord
from mitorch_service.models.status import OPEN
from mitorch_service.models.training import TrainingRow
from mitorch_service.stores.base import Store

_RECORDS_A_RUNG = 32  # marked as paused, in one pass; the next one reads on


def observe_promotion(store: Store, job: Job, counts: Mapping[str, int], most: int) -> PromotionPlan:
    """Reads the best paused trials of each rung, at most `most`.

    The lowest rung first, in the direction in which trials move: one that another pass moves meanwhile may be seen
    twice, and then counts where it was seen last, but is never missed.
    """
    reached: dict[int, int] = {}
    paused: dict[int, PausedTrial] = {}
    stale: list[RungRecord] = []
    for epochs in rungs_of(job):
        reached[epochs] = store.rungs.count_rung(job.id, epochs)
        marked = store.rungs.best_paused(job.id, epochs, _RECORDS_A_RUNG) if reached[epochs] else []
        rows = store.rungs.rows_among([trial_id(job.id, record.number) for record in marked])
        found = [(record, rows.get(trial_id(job.id, record.number))) for record in marked]
        stale += [record for record, row in found if row is None or not _may_be_paused(row, epochs)]
        on_rung = [(record, row) for record, row in found if row is not None and _is_paused(row, epochs)]
        for record, row in on_rung[: max(most, 1)]:
            better = store.rungs.standing(job.id, 0, epochs, record.loss)[1]
            paused.pop(record.number, None)
            paused[record.number] = PausedTrial(epochs, row, record, better)
    return PromotionPlan(job, reached, paused, stale, counts.get("completed", 0))


def _is_paused(row: TrainingRow, epochs: int) -> bool:
    return row.is_paused() and row.cancel_requested_at is None and _may_be_paused(row, epochs)


def _may_be_paused(row: TrainingRow, epochs: int) -> bool:
    """Whether the trial is paused there, or will be soon: it writes its mark before it ends."""
    is_open = row.status in OPEN
    return row.trial is not None and row.trial.pause_at == epochs and (row.is_paused() or is_open)
