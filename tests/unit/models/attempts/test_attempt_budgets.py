"""The budgets of attempts."""

from __future__ import annotations

from typing import Any

import pytest

from mitorch_service.models.attempts.attempt_budgets import MAX_PREEMPTED_ATTEMPTS, after_loss
from mitorch_service.models.status import AttemptOutcome, TrainingStatus
from mitorch_service.models.training import MAX_ATTEMPTS, Attempt, Progress, Training
from tests.samples import NOW, a_training, an_attempt

FULL = MAX_PREEMPTED_ATTEMPTS


def preempted(epochs: list[int | None], now: int | None, **fields: Any) -> Training:
    """A training whose former attempts were preempted after these epochs, and whose current one has come to `now`."""
    training = a_training(status=TrainingStatus.RUNNING, attempt=len(epochs) + 1, **fields)
    lost: dict[str, Any] = {"outcome": AttemptOutcome.LOST, "preempted": True}
    attempts = [
        an_attempt(training, number).model_copy(update={**lost, "epoch": epoch})
        for number, epoch in enumerate(epochs, 1)
    ]
    progress = None if now is None else Progress(epoch=now, max_epochs=99, at=NOW)
    attempts.append(an_attempt(training, training.attempt))
    return training.model_copy(update={"attempts": attempts, "progress": progress})


@pytest.mark.parametrize(
    ("epochs", "now", "again"),
    [
        ([None] * (FULL - 2), None, True),
        ([None] * (FULL - 1), None, False),
        ([None] * (FULL - 1), 1, True),  # it gained one just now
        ([1] * (FULL - 1), 1, True),  # the first of them gained one
        ([1] * FULL, 1, False),
        ([3, *[2] * (FULL - 1)], 2, False),  # they never came as far again
        (list(range(60)), 60, True),
    ],
)
def test_preemptions_count_from_the_last_epoch_that_was_gained(
    epochs: list[int | None], now: int | None, again: bool
) -> None:
    status, reason = after_loss(preempted(epochs, now), "the node went away", preempted=True)
    assert (status == TrainingStatus.NEW) == again
    limit = f"preempted without a finished epoch {FULL} times, which is the limit; the last time: the node went away"
    assert reason == ("the node went away" if again else limit)


def test_preemptions_and_losses_have_budgets_of_their_own() -> None:
    training = preempted([None] * (FULL - 1), None)
    assert after_loss(training, "its disk broke")[0] == TrainingStatus.NEW
    losses = [attempt.model_copy(update={"preempted": False}) for attempt in training.attempts]
    lost = training.model_copy(update={"attempts": losses})
    assert after_loss(lost, "its disk broke")[0] == TrainingStatus.FAILED
    assert after_loss(lost, "the node went away", preempted=True)[0] == TrainingStatus.NEW


@pytest.mark.parametrize(("times", "now", "again"), [(1, None, True), (2, None, False), (2, 1, True)])
def test_time_limits_have_a_budget_of_three(times: int, now: int | None, again: bool) -> None:
    training = preempted([None] * (times + 3), now)
    attempts = [one.model_copy(update={"timed_out": one.number > 3}) for one in training.attempts]
    status, reason = after_loss(training.model_copy(update={"attempts": attempts}), "too long", True, True)
    assert (status == TrainingStatus.NEW) == again
    limit = "ended at its cluster's time limit without a finished epoch 3 times, which is the limit; the last time: "
    assert reason == ("too long" if again else f"{limit}too long")


def test_a_retry_fills_the_budgets() -> None:
    training = preempted([None] * 9, None, budget_from=9)
    assert after_loss(training, "the node went away", preempted=True)[0] == TrainingStatus.NEW


def test_no_training_has_attempts_without_end() -> None:
    training = preempted(list(range(MAX_ATTEMPTS - 1)), MAX_ATTEMPTS)
    status, reason = after_loss(training, "the node went away", preempted=True)
    assert status == TrainingStatus.FAILED
    assert reason == f"its {MAX_ATTEMPTS}th attempt was its last, which is the limit: the node went away"


def test_marks_that_are_not_set_are_not_stored() -> None:
    document = an_attempt(a_training()).to_document()
    assert not {"preempted", "timed_out", "epoch", "begun_at"} & set(document)
    assert Attempt.from_document(document).has_begun is False
