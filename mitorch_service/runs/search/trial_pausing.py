"""Pausing of a running trial: at each rung it records its loss, and after its last one it pauses.

The recorded loss is that of the state from which the trial would resume, not the best one so far.
"""

from __future__ import annotations

import math

from mitorch_service.models.result import EpochResult
from mitorch_service.models.training import Training, Trial
from mitorch_service.runs.search.search_decision import SearchDecision, paused
from mitorch_service.runs.search.trial_stopping import is_last, loss_of, measured
from mitorch_service.stores.base import Store


class TrialPausing:
    """Records the rungs of one attempt of a trial whose search pauses it."""

    def __init__(self, store: Store, training: Training, trial: Trial, job_id: str) -> None:
        """Begins with the curve of earlier attempts. Raises StoreError, StaleAttempt."""
        self._store = store
        self._id = training.id
        self._attempt = training.attempt
        self._max_epochs = training.max_epochs
        self._trial = trial
        self._job_id = job_id
        self._from_zero = False  # whether the epochs are counted from 0
        self.decision: SearchDecision | None = None  # set once the trial pauses
        results = store.runs.curve(training.id).items
        passed = [rung for rung in trial.rungs if results and rung <= results[-1].epoch]
        self._left = trial.rungs[max(len(passed) - 1, 0) :]  # still to record: the attempt before may have died on one
        for result in results:
            self.ends_after(result)

    @classmethod
    def of(cls, store: Store, training: Training) -> TrialPausing | None:
        """None for a training that no search pauses."""
        trial, job_id = training.trial, training.job_id
        return None if trial is None or job_id is None or not trial.rungs else cls(store, training, trial, job_id)

    def ends_after(self, result: EpochResult) -> bool:
        """Whether the trial pauses after this epoch; may be repeated. Raises StoreError, StaleAttempt."""
        self._from_zero |= result.epoch == 0
        pause_at = None if is_last(result.epoch, self._max_epochs, self._from_zero) else self._trial.pause_at
        while self._left and self._left[0] <= result.epoch:  # a script may report some epochs only
            self._record(self._left[0], measured(result, self._trial.objective), self._left[0] == pause_at)
            self._left.pop(0)
        if self.decision is None and pause_at is not None and result.epoch >= pause_at:
            self.decision = paused(result.epoch, self._max_epochs)
        return self.decision is not None

    def _record(self, rung: int, value: float | None, pauses: bool) -> None:
        loss = loss_of(math.nan if value is None else value, self._trial.direction)
        if value is not None:
            self._store.rungs.record_trial_value(self._id, self._attempt, rung, value)
        self._store.rungs.record_rung(self._job_id, self._trial.number, self._attempt, 0, rung, loss, pauses)
