"""Early stopping as a running trial sees it: at the end of an epoch it tells its value and asks whether it goes on."""

from __future__ import annotations

import math

from mitorch_service.models.objectives import Direction
from mitorch_service.models.result import EpochResult
from mitorch_service.models.training import Training
from mitorch_service.search.stopping.base import Question, Standing, best_so_far
from mitorch_service.search.stopping.registry import stopper
from mitorch_service.stores.base import Store


class TrialStopping:
    """Of one attempt of a trial whose job has a rule."""

    def __init__(self, store: Store, training: Training) -> None:
        """Begins with the curve of earlier attempts, as far as it counts. Raises StoreError, StaleAttempt."""
        trial, rule = training.trial, None if training.trial is None else training.trial.early_stopping
        if trial is None or rule is None or training.job_id is None:
            raise ValueError(f"training {training.id} is no trial with early stopping")
        self._store, self._id, self._attempt, self._job_id = store, training.id, training.attempt, training.job_id
        self._trial, self._max_epochs = trial, training.max_epochs
        self._sign = 1 if trial.direction == "minimize" else -1
        self._stopper = stopper(rule.rule, training.max_epochs, **rule.options())
        self._observed = set(self._stopper.observed_epochs(training.max_epochs))
        self._values: dict[int, float] = {}  # epoch -> the objective; epochs without it do not count
        self.reason: str | None = None  # why the trial ends here
        before = store.runs.curve(training.id).items
        for result in before[:-1]:
            self._add(result)
        for result in before[-1:]:
            self.ends_after(result)  # the attempt before may have died on the answer

    @classmethod
    def of(cls, store: Store, training: Training) -> TrialStopping | None:
        """None for a training that nothing stops early."""
        trial = training.trial
        return None if trial is None or trial.early_stopping is None else cls(store, training)

    def ends_after(self, result: EpochResult) -> bool:
        """Whether the trial ends with this epoch; may be repeated. Raises StoreError, StaleAttempt."""
        if not self._add(result):
            return False
        losses = [loss_of(value, self._trial.direction) for value in self._values.values()]
        epochs = len(losses)
        question = self._stopper.question(self._trial.number, losses)
        if epochs in self._observed or question is not None:
            best = self._sign * best_so_far(losses)
            self._store.rungs.record_trial_value(self._id, self._attempt, epochs, best)
        if question is None or epochs == self._max_epochs:
            return False
        standing = self._ask(question)
        if self._stopper.stops(question, standing):
            others = standing.reached - 1
            self.reason = f"stopped early after epoch {epochs}: {standing.better} of {others} others did better"
        return self.reason is not None

    def _add(self, result: EpochResult) -> bool:
        value = measured(result, self._trial.objective)
        if value is None:
            return False
        self._values[result.epoch] = value
        return True

    def _ask(self, question: Question) -> Standing:
        """The trial's own value is there before the question, so that of two that ask at once one sees the other."""
        place = (question.bracket, question.epochs, question.loss)
        self._store.rungs.record_rung(self._job_id, self._trial.number, self._attempt, *place)
        return Standing(*self._store.rungs.standing(self._job_id, *place))


def measured(result: EpochResult, objective: str) -> float | None:
    """The objective after an epoch; None where it was not measured."""
    if objective in ("val_loss", "train_loss"):
        value: float | None = getattr(result, objective)
        return value
    return result.metrics.get(objective)


def loss_of(value: float, direction: Direction) -> float:
    """Lower is better; what is not finite is infinite."""
    if not math.isfinite(value):
        return math.inf
    return value if direction == "minimize" else -value
