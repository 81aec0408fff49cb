"""The end of an attempt one of whose processes has ended."""

from __future__ import annotations

import pytest

from mitorch_service.backends.node import ProcessFailure
from mitorch_service.errors import ProcessLost
from mitorch_service.models.status import AttemptOutcome
from mitorch_service.runs.attempt_end import process_lost

REASON = "its process of rank 1 ended with exit code 1: no such class"


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [
        (None, AttemptOutcome.LOST),
        (ProcessFailure(REASON, of_training=False), AttemptOutcome.LOST),
        (ProcessFailure(REASON, of_training=True), AttemptOutcome.FAILED),
    ],
)
def test_an_error_of_another_process_fails_the_training(
    failure: ProcessFailure | None, outcome: AttemptOutcome
) -> None:
    end = process_lost(ProcessLost("connection closed by peer"), failure)
    assert end.outcome == outcome
    assert (end.reason == REASON) == (outcome == AttemptOutcome.FAILED)
