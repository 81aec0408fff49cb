"""Successive halving with promotion: resumes the best of the trials that are paused on each rung. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mitorch_service.controller.plan.search.paused_trials import PausedTrials, ResumeTrial, max_epochs_of
from mitorch_service.models.search.job import Job
from mitorch_service.models.search.rung import RungRecord
from mitorch_service.models.training import TrainingRow
from mitorch_service.search.stopping.promotion import FACTOR, Paused, Promotion, Rung, last_promotion, promotions


@dataclass(frozen=True)
class PausedTrial:
    """A trial that is paused on a rung."""

    epochs: int  # of the rung
    row: TrainingRow
    record: RungRecord
    better: int  # trials that reached the rung with a lower loss


@dataclass(frozen=True)
class PromotionPlan(PausedTrials):
    """Asynchronous successive halving: the best of each rung are promoted, one by one."""

    job: Job
    reached: Mapping[int, int]  # epochs of each rung, ascending -> trials that reached it
    paused: Mapping[int, PausedTrial] = field(default_factory=dict)  # by number; of each rung the best first
    stale: Sequence[RungRecord] = ()
    completed: int = 0  # trials that ran to their end

    def to_resume(self, most: int) -> list[ResumeTrial]:
        rule = self.job.search.early_stopping
        factor = (rule and rule.factor) or FACTOR
        return [self._resume(one) for one in promotions(self._rungs(), factor, max_epochs_of(self.job), most)]

    def best_to_resume(self) -> ResumeTrial | None:
        promotion = last_promotion(self._rungs(), max_epochs_of(self.job), self.completed)
        return None if promotion is None else self._resume(promotion)

    def _rungs(self) -> list[Rung]:
        return [Rung(epochs, count, self._paused_on(epochs)) for epochs, count in self.reached.items()]

    def _paused_on(self, epochs: int) -> tuple[Paused, ...]:
        trials = [(number, trial) for number, trial in self.paused.items() if trial.epochs == epochs]
        return tuple(Paused(number, trial.record.loss, trial.better) for number, trial in trials)

    def _resume(self, promotion: Promotion) -> ResumeTrial:
        pause_at = None if promotion.epochs >= max_epochs_of(self.job) else promotion.epochs
        trial = self.paused[promotion.number]
        return ResumeTrial(self.job.id, trial.row, pause_at, self.job.priority, trial.record)
