"""Azure ML's words for the state of a run, in ours."""

from __future__ import annotations

import pytest

from mitorch_service.backends.azureml.states import to_status
from mitorch_service.backends.base import RunStatus
from mitorch_service.models.run_state import RunState


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("NotStarted", RunState.PENDING),
        ("Queued", RunState.PENDING),
        ("Preparing", RunState.PENDING),
        ("Running", RunState.RUNNING),
        ("Finalizing", RunState.RUNNING),
        ("CancelRequested", RunState.RUNNING),
        ("Completed", RunState.SUCCEEDED),
        ("Failed", RunState.FAILED),
        ("Canceled", RunState.KILLED),
        ("NotResponding", RunState.UNKNOWN),
        ("SomethingNew", RunState.UNKNOWN),
        ("", RunState.UNKNOWN),
    ],
)
def test_every_status_has_a_state(status: str, state: RunState) -> None:
    assert to_status(status).state == state


@pytest.mark.parametrize(
    ("code", "message", "status"),
    [
        ("UserError", "process 'python' exited with status code 1.", (RunState.FAILED, 1)),
        ("UserError", "Job failed with non-zero exit Code: 75", (RunState.FAILED, 75)),
        ("UserError", "it ended with exit code 2 on 1 node", (RunState.FAILED, 2)),
        ("UserError", "exited with status code -9.", (RunState.KILLED, None)),
        ("UserError", "exited with status code 137.", (RunState.KILLED, None)),
        ("UserError", "The image cannot be pulled.", (RunState.FAILED, None)),
        ("ServiceError", "The node was preempted.", (RunState.KILLED, None)),
        ("UserError", "The low-priority node was evicted; exit code 1", (RunState.KILLED, None)),
        ("SystemError", "", (RunState.KILLED, None)),
        ("", "", (RunState.FAILED, None)),
    ],
)
def test_a_failure_is_the_programs_or_the_infrastructures(
    code: str, message: str, status: tuple[RunState, int | None]
) -> None:
    found = to_status("Failed", code, message)
    assert (found.state, found.exit_code) == status
    assert found.reason


def test_reasons_are_short_and_hold_no_credential() -> None:
    message = "cannot read https://a.blob.core.windows.net/c?sig=hunter2 " + "x" * 5000
    assert to_status("Failed", "UserError", message) == RunStatus(
        RunState.FAILED, f"cannot read https://a.blob.core.windows.net/c?sig=*** {'x' * 446}"
    )
