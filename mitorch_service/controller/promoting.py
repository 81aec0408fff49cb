"""Successive halving that promotes: which of the paused trials go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mitorch_service.controller.parts import Parts, TakeOn, max_epochs_of, rungs_of
from mitorch_service.models.job import Job, trial_id
from mitorch_service.models.training import TrainingRow
from mitorch_service.search.stopping.promotion import FACTOR, Paused, Promotion, Rung, last_promotion, promotions
from mitorch_service.stores.base import Store
from mitorch_service.stores.rungs import RungRecord

_LOOKED_AT = 32  # of those that are paused on a rung, in one pass; the next one goes on


@dataclass(frozen=True)
class Promoting(Parts):
    """Asynchronous successive halving: the best of each rung go on, one by one."""

    job: Job
    rungs: Sequence[Rung]
    rows: Mapping[int, TrainingRow] = field(default_factory=dict)  # the paused trials of the rungs, by number
    records: Mapping[int, RungRecord] = field(default_factory=dict)
    stale: Sequence[RungRecord] = ()
    whole: int = 0  # trials that ran to their end

    @classmethod
    def observe(cls, store: Store, job: Job, counts: Mapping[str, int], most: int) -> Promoting:
        """Reads the best that are paused of each rung, at most so many."""
        rungs, rows, records, stale = [], dict[int, TrainingRow](), dict[int, RungRecord](), list[RungRecord]()
        for epochs in rungs_of(job):
            reached = store.count_rung(job.id, epochs)
            marked = store.best_paused(job.id, epochs, _LOOKED_AT) if reached else []
            found = store.rows_among([trial_id(job.id, record.number) for record in marked])
            paused: list[Paused] = []
            for record in marked:
                row = found.get(trial_id(job.id, record.number))
                if row is None or not _may_wait(row, epochs):
                    stale.append(record)
                elif row.is_paused() and row.cancel_requested_at is None and len(paused) < max(most, 1):
                    better = store.standing(job.id, 0, epochs, record.loss)[1]
                    paused.append(Paused(record.number, record.loss, better))
                    rows[record.number], records[record.number] = row, record
            rungs.append(Rung(epochs, reached, tuple(paused)))
        return cls(job, rungs, rows, records, stale, counts.get("completed", 0))

    def go_on(self, most: int) -> list[TakeOn]:
        rule = self.job.search.early_stopping
        factor = (rule and rule.factor) or FACTOR
        return [self._taken(one) for one in promotions(self.rungs, factor, max_epochs_of(self.job), most)]

    def last(self) -> list[TakeOn]:
        found = last_promotion(self.rungs, max_epochs_of(self.job), self.whole)
        return [] if found is None else [self._taken(found)]

    def _taken(self, promotion: Promotion) -> TakeOn:
        until = None if promotion.epochs >= max_epochs_of(self.job) else promotion.epochs
        return TakeOn(
            self.job.id, self.rows[promotion.number], until, self.job.priority, self.records[promotion.number]
        )


def _may_wait(row: TrainingRow, epochs: int) -> bool:
    """Whether the trial is paused there, or will be soon: it records that before it ends."""
    on_its_way = row.status in ("new", "queued", "running")
    return row.trial is not None and row.trial.until == epochs and (row.is_paused() or on_its_way)
