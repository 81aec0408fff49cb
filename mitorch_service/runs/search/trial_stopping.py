"""Early stopping of a running trial: after each epoch it records its loss and compares it with other trials."""

from __future__ import annotations

import math

from mitorch_service.models.result import EpochResult
from mitorch_service.models.search.objectives import Direction
from mitorch_service.models.training import Training
from mitorch_service.runs.search.search_decision import SearchDecision, pruned
from mitorch_service.search.stopping.base import Question, Standing, best_so_far, last_epochs
from mitorch_service.search.stopping.registry import stopper
from mitorch_service.stores.base import Store


class TrialStopping:
    """Applies the stopping rule of a job to one attempt of its trial."""

    def __init__(self, store: Store, training: Training) -> None:
        """Begins with the curve of earlier attempts, as far as it counts. Raises StoreError, StaleAttempt."""
        trial, rule = training.trial, None if training.trial is None else training.trial.early_stopping
        if trial is None or rule is None or training.job_id is None:
            raise ValueError(f"training {training.id} is no trial with early stopping")
        self._store = store
        self._id = training.id
        self._attempt = training.attempt
        self._max_epochs = training.max_epochs
        self._job_id = training.job_id
        self._trial = trial
        self._sign = 1 if trial.direction == "minimize" else -1
        self._stopper = stopper(rule.rule, training.max_epochs, **rule.options())
        self._observed = set(self._stopper.observed_epochs(training.max_epochs))
        self._values: dict[int, float] = {}  # epoch -> the objective; epochs without it do not count
        self.decision: SearchDecision | None = None  # set once the trial is stopped
        before = store.runs.curve(training.id).items
        for result in before[:-1]:
            self._add(result)
        for result in before[-1:]:
            self.ends_after(result)  # the attempt before may have died before it was answered

    @classmethod
    def of(cls, store: Store, training: Training) -> TrialStopping | None:
        """None for a training that nothing stops early."""
        trial = training.trial
        return None if trial is None or trial.early_stopping is None else cls(store, training)

    def ends_after(self, result: EpochResult) -> bool:
        """Whether the trial ends with this epoch; may be repeated. Raises StoreError, StaleAttempt."""
        if not self._add(result):
            return False
        epochs = [epoch for epoch in sorted(self._values) if epoch <= result.epoch]
        losses = [loss_of(self._values[epoch], self._trial.direction) for epoch in epochs]
        question = self._stopper.question(self._trial.number, losses, epochs)
        before, now = last_epochs(losses, epochs)
        if question is not None or any(before < epoch <= now for epoch in self._observed):
            self._store.rungs.record_trial_value(self._id, self._attempt, now, self._sign * best_so_far(losses))
        if question is None or is_last(now, self._max_epochs, from_zero=epochs[0] == 0):
            return False
        standing = self._compare(question)
        if self._stopper.stops(question, standing):
            self.decision = pruned(now, standing.better, standing.reached - 1)
        return self.decision is not None

    def _add(self, result: EpochResult) -> bool:
        """False for an epoch without the objective."""
        value = measured(result, self._trial.objective)
        if value is None:
            return False
        self._values[result.epoch] = value
        return True

    def _compare(self, question: Question) -> Standing:
        """Records the trial's own loss before it counts the others: of two trials that arrive at once, one sees the
        other."""
        self._store.rungs.record_rung(
            self._job_id, self._trial.number, self._attempt, question.bracket, question.epochs, question.loss
        )
        return Standing(*self._store.rungs.standing(self._job_id, question.bracket, question.epochs, question.loss))


def measured(result: EpochResult, objective: str) -> float | None:
    """The objective after an epoch; None if it was not measured."""
    if objective == "val_loss":
        return result.val_loss
    if objective == "train_loss":
        return result.train_loss
    return result.metrics.get(objective)


def is_last(epoch: int, max_epochs: int, from_zero: bool) -> bool:
    """Whether nothing follows this epoch, so that stopping would save nothing; a script may count from 0."""
    return max_epochs > 0 and epoch >= max_epochs - from_zero


def loss_of(value: float, direction: Direction) -> float:
    """The value as a loss, lower being better; infinite if it is not finite."""
    if not math.isfinite(value):
        return math.inf
    return value if direction == "minimize" else -value
