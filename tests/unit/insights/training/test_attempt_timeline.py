"""The timeline of attempts: every moment since the submission, in one phase."""

from __future__ import annotations

from datetime import datetime, timedelta

from mitorch_service.insights.training.attempt_timeline import timeline, total
from mitorch_service.models.status import TrainingStatus
from tests.samples import NOW, a_training, an_attempt


def at(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def test_waiting_starting_and_running_of_two_attempts() -> None:
    training = a_training()
    first = an_attempt(training, 1).model_copy(update={"queued_at": at(5), "started_at": at(7), "ended_at": at(20)})
    second = an_attempt(training, 2).model_copy(update={"queued_at": at(30), "started_at": at(31), "ended_at": None})
    training = training.model_copy(update={"attempts": [first, second], "status": TrainingStatus.RUNNING})
    spans = timeline(training, at(41))
    assert [(span.phase, span.attempt, span.length.seconds // 60) for span in spans] == [
        ("waiting", None, 5),
        ("starting", 1, 2),
        ("running", 1, 13),
        ("waiting", None, 10),
        ("starting", 2, 1),
        ("running", 2, 10),
    ]
    assert total(spans, "running") == timedelta(minutes=23)
    assert sum((span.length for span in spans), timedelta()) == at(41) - NOW


def test_an_attempt_that_never_reported_was_starting_to_its_end() -> None:
    training = a_training()
    lost = an_attempt(training, 1).model_copy(update={"queued_at": at(1), "ended_at": at(4)})
    training = training.model_copy(update={"attempts": [lost], "status": TrainingStatus.NEW})
    assert [(span.phase, span.length.seconds) for span in timeline(training, at(6))] == [
        ("waiting", 60),
        ("starting", 180),
        ("waiting", 120),
    ]
