"""The groups of statuses, and the tables of transitions."""

from __future__ import annotations

import pytest

from mitorch_service.models.status import (
    ACTIVE_JOBS,
    ENDED,
    ENDED_JOBS,
    JOB_TRANSITIONS,
    OPEN,
    TRANSITIONS,
    AttemptOutcome,
    JobStatus,
    TrainingStatus,
)
from mitorch_service.models.training import Training
from tests.samples import a_trial

OLD = {"status": "pruned", "status_times": {"pruned": "2026-01-01T00:00:00Z", "new": "2025-01-01T00:00:00Z"}}


def test_each_status_is_open_or_ended() -> None:
    assert sorted([*OPEN, *ENDED]) == sorted(TrainingStatus)
    assert sorted([*ACTIVE_JOBS, *ENDED_JOBS]) == sorted(JobStatus)


def test_the_tables_have_a_line_for_each_status() -> None:
    assert list(TRANSITIONS) == list(TrainingStatus)
    assert list(JOB_TRANSITIONS) == list(JobStatus)


def test_what_has_ended_only_begins_again() -> None:
    assert all(TRANSITIONS[status] <= {TrainingStatus.NEW} for status in ENDED)
    assert not any(JOB_TRANSITIONS[status] for status in ENDED_JOBS)


def test_an_outcome_that_ends_a_training_is_named_like_its_status() -> None:
    others = (AttemptOutcome.LOST, AttemptOutcome.REFUSED, AttemptOutcome.BLOCKED)
    assert sorted(ENDED) == sorted(TrainingStatus(outcome.value) for outcome in AttemptOutcome if outcome not in others)


@pytest.mark.parametrize(
    ("trial", "status"),
    [
        ({"pause_at": 3}, TrainingStatus.PAUSED),
        ({"until": 3}, TrainingStatus.PAUSED),
        ({}, TrainingStatus.PRUNED),
        ({"pause_at": None, "until": 3}, TrainingStatus.PRUNED),  # it was resumed to its end
    ],
)
def test_a_pruned_trial_with_an_epoch_at_which_to_pause_is_a_paused_one(
    trial: dict[str, int | None], status: TrainingStatus
) -> None:
    document = a_trial("job", 0).to_document()
    stored = {name: value for name, value in document["trial"].items() if name not in ("pause_at", "until")}
    read = Training.from_document({**document, **OLD, "trial": {**stored, **trial}})
    assert read.status == status
    assert set(read.status_times) == {"new", status.value}
    assert read.status_times[status].year == 2026
