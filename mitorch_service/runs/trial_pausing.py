"""Pausing as a running trial sees it: at each rung it records how good it is, and at the last one that it may run to it
tells that it will wait there. What counts is the value of the state that it goes on from, not the best one so far."""

from __future__ import annotations

import math

from mitorch_service.models.result import EpochResult
from mitorch_service.models.training import Training, Trial
from mitorch_service.runs.trial_stopping import loss_of, measured
from mitorch_service.stores.base import Store


class TrialPausing:
    """Of one attempt of a trial whose search lets it run in parts."""

    def __init__(self, store: Store, training: Training, trial: Trial, job_id: str) -> None:
        """Begins with the curve of earlier attempts. Raises StoreError, StaleAttempt."""
        self._store, self._id, self._attempt, self._job_id = store, training.id, training.attempt, job_id
        self._trial, self._max_epochs = trial, training.max_epochs
        self._left = list(trial.rungs)  # those that are still to be recorded
        self.reason: str | None = None  # why the trial ends here
        results = store.runs.curve(training.id).items
        passed = [rung for rung in trial.rungs if results and rung <= results[-1].epoch]
        self._left = trial.rungs[max(len(passed) - 1, 0) :]  # the attempt before may have died on the last one
        for result in results:
            self.ends_after(result)

    @classmethod
    def of(cls, store: Store, training: Training) -> TrialPausing | None:
        """None for a training that runs in one part."""
        trial, job_id = training.trial, training.job_id
        return None if trial is None or job_id is None or not trial.rungs else cls(store, training, trial, job_id)

    def ends_after(self, result: EpochResult) -> bool:
        """Whether the trial ends with this epoch; may be repeated. Raises StoreError, StaleAttempt."""
        while self._left and self._left[0] <= result.epoch:  # a script may report some epochs only
            self._record(self._left[0], measured(result, self._trial.objective))
            self._left.pop(0)
        pause_at = self._trial.pause_at
        if pause_at is not None and result.epoch >= pause_at:
            self.reason = paused_after(pause_at, self._max_epochs)
        return self.reason is not None

    def _record(self, rung: int, value: float | None) -> None:
        loss = loss_of(math.nan if value is None else value, self._trial.direction)
        if value is not None:
            self._store.rungs.record_trial_value(self._id, self._attempt, rung, value)
        paused = rung == self._trial.pause_at
        self._store.rungs.record_rung(self._job_id, self._trial.number, self._attempt, 0, rung, loss, paused)


def paused_after(pause_at: int, max_epochs: int) -> str:
    """The reason that an attempt shows."""
    return f"paused after epoch {pause_at} of {max_epochs}, until its search takes it on"
