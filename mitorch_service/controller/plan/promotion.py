"""Successive halving that promotes: which of the paused trials go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mitorch_service.controller.plan.paused_trials import PausedTrials, ResumeTrial, max_epochs_of, rungs_of
from mitorch_service.models.job import Job, trial_id
from mitorch_service.models.status import OPEN
from mitorch_service.models.training import TrainingRow
from mitorch_service.search.stopping.promotion import FACTOR, Paused, Promotion, Rung, last_promotion, promotions
from mitorch_service.stores.base import Store
from mitorch_service.stores.rungs import RungRecord

_LOOKED_AT = 32  # of those that are paused on a rung, in one pass; the next one goes on


@dataclass(frozen=True)
class Waiting:
    """A trial that is paused on a rung."""

    epochs: int
    row: TrainingRow
    record: RungRecord
    better: int  # of those that reached the rung


@dataclass(frozen=True)
class Promoting(PausedTrials):
    """Asynchronous successive halving: the best of each rung go on, one by one."""

    job: Job
    rungs: Sequence[Rung]
    waiting: Mapping[int, Waiting] = field(default_factory=dict)  # by the trial's number
    stale: Sequence[RungRecord] = ()
    whole: int = 0  # trials that ran to their end

    @classmethod
    def observe(cls, store: Store, job: Job, counts: Mapping[str, int], most: int) -> Promoting:
        """Reads the best that are paused of each rung, at most so many. The lowest first, the way that trials go: one
        that another pass moves on meanwhile may be seen twice, and then is where it was seen last."""
        reached: dict[int, int] = {}
        waiting: dict[int, Waiting] = {}
        stale: list[RungRecord] = []
        for epochs in rungs_of(job):
            reached[epochs] = store.rungs.count_rung(job.id, epochs)
            marked = store.rungs.best_paused(job.id, epochs, _LOOKED_AT) if reached[epochs] else []
            rows = store.rungs.rows_among([trial_id(job.id, record.number) for record in marked])
            found = [(record, rows.get(trial_id(job.id, record.number))) for record in marked]
            stale += [record for record, row in found if row is None or not _may_wait(row, epochs)]
            for record, row in [(record, row) for record, row in found if row and _waits(row, epochs)][: max(most, 1)]:
                better = store.rungs.standing(job.id, 0, epochs, record.loss)[1]
                waiting.pop(record.number, None)
                waiting[record.number] = Waiting(epochs, row, record, better)
        rungs = [Rung(epochs, number, _paused(waiting, epochs)) for epochs, number in reached.items()]
        return cls(job, rungs, waiting, stale, counts.get("completed", 0))

    def go_on(self, most: int) -> list[ResumeTrial]:
        rule = self.job.search.early_stopping
        factor = (rule and rule.factor) or FACTOR
        return [self._taken(one) for one in promotions(self.rungs, factor, max_epochs_of(self.job), most)]

    def last(self) -> list[ResumeTrial]:
        found = last_promotion(self.rungs, max_epochs_of(self.job), self.whole)
        return [] if found is None else [self._taken(found)]

    def _taken(self, promotion: Promotion) -> ResumeTrial:
        pause_at = None if promotion.epochs >= max_epochs_of(self.job) else promotion.epochs
        found = self.waiting[promotion.number]
        return ResumeTrial(self.job.id, found.row, pause_at, self.job.priority, found.record)


def _paused(waiting: Mapping[int, Waiting], epochs: int) -> tuple[Paused, ...]:
    """Best first, as they were found."""
    return tuple(Paused(number, one.record.loss, one.better) for number, one in waiting.items() if one.epochs == epochs)


def _waits(row: TrainingRow, epochs: int) -> bool:
    return row.is_paused() and row.cancel_requested_at is None and _may_wait(row, epochs)


def _may_wait(row: TrainingRow, epochs: int) -> bool:
    """Whether the trial is paused there, or will be soon: it records that before it ends."""
    on_its_way = row.status in OPEN
    return row.trial is not None and row.trial.pause_at == epochs and (row.is_paused() or on_its_way)
