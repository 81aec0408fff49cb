"""Azure ML's words for the state of a run, in ours."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from mitorch_service.backends.azureml.states import capacity_of, nodes_of, run_status, to_status
from mitorch_service.backends.base import Capacity, RunStatus
from mitorch_service.models.attempts.run_state import RunState


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
        ("NotResponding", RunState.RUNNING),
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
    assert found.guessed  # words for people are only a help


def test_a_status_is_told_in_azures_words_with_its_beginning() -> None:
    run: dict[str, Any] = {"status": "Preparing", "createdUtc": "2026-11-20T12:00:00.1234567Z", "startTimeUtc": None}
    found = run_status(run, "https://ml.azure.com/runs/r")
    assert (found.state, found.word) == (RunState.PENDING, "Preparing (Azure prepares or builds the image)")
    assert (found.since, found.url) == (datetime(2026, 11, 20, 12, 0, 0, 123456, UTC), "https://ml.azure.com/runs/r")
    run = {**run, "status": "Queued", "queueingInfo": {"message": "8 nodes are being allocated"}}
    assert run_status(run, "").word == "Queued (8 nodes are being allocated)"
    run = {**run, "status": "Running", "startTimeUtc": "2026-11-20T13:00:00+01:00", "queueingInfo": None}
    found = run_status(run, "")
    assert (found.word, found.since) == ("Running", datetime(2026, 11, 20, 12, tzinfo=UTC))


@pytest.mark.parametrize(
    ("message", "reason", "message_kept"),
    [
        ("Image build failed with exit code 1:\nsee ?sig=hunter2", "it ended with exit code 1", True),
        ("no quota", "no quota", False),
    ],
)
def test_azures_own_message_is_kept_where_only_a_code_was_read_in_it(
    message: str, reason: str, message_kept: bool
) -> None:
    found = run_status({"status": "Failed", "error": {"error": {"code": "UserError", "message": message}}}, "")
    assert found.reason == reason
    assert found.message == ("Image build failed with exit code 1: see ?sig=***" if message_kept else None)


@pytest.mark.parametrize(("end", "canceled"), [("2026-11-06T23:00:00Z", True), ("2026-11-08T00:00:01Z", False)])
def test_a_run_that_azure_ends_at_the_end_of_its_lifetime_was_not_canceled_by_anybody(end: str, canceled: bool) -> None:
    found = run_status({"status": "Canceled", "startTimeUtc": "2026-11-01T00:00:00Z", "endTimeUtc": end}, "")
    assert (found.state, found.canceled, found.preempted) == (RunState.KILLED, canceled, not canceled)


def test_reasons_are_short_and_hold_no_credential() -> None:
    message = "cannot read https://a.blob.core.windows.net/c?sig=hunter2 " + "x" * 5000
    assert to_status("Failed", "UserError", message) == RunStatus(
        RunState.FAILED, f"cannot read https://a.blob.core.windows.net/c?sig=*** {'x' * 446}"
    )


ODD: list[dict[str, Any]] = [
    {},
    {"status": None},
    {"status": ["Running"], "error": "text", "queueingInfo": 5, "startTimeUtc": 7},
    {"status": "Failed", "error": {"error": ["x"]}},
    {"status": "Failed", "error": {"error": {"code": {}, "message": 5}}},
    {"status": "Failed", "error": {"error": {"code": None, "message": "exit code " + "9" * 5000}}},
    {"status": "Running", "startTimeUtc": "0001-01-01T00:00:00+14:00", "createdUtc": "9999-12-31T23:59:59-14:00"},
]


@pytest.mark.parametrize("run", ODD)
def test_an_odd_run_is_no_error_of_the_answer(run: dict[str, Any]) -> None:
    """It would hide all runs of the cluster from every pass."""
    assert isinstance(run_status(run, "https://h"), RunStatus)


@pytest.mark.parametrize(
    ("tags", "nodes"),
    [
        ({"nodes": "4"}, 4),
        ({"nodes": "0"}, 1),
        ({"nodes": 4}, 1),
        ({"nodes": "9" * 5000}, 1),
        (["nodes"], 1),
        (None, 1),
    ],
)
def test_a_run_takes_the_nodes_of_its_tag(tags: object, nodes: int) -> None:
    assert nodes_of({"tags": tags}) == nodes


@pytest.mark.parametrize(
    ("most", "taken", "found"),
    [(4, 1, (4, 3)), (4, 9, (4, 0)), (-1, 1, (0, 0)), (4, -5, (4, 4)), (-3, -5, (0, 0))],
)
def test_a_compute_has_no_more_free_nodes_than_nodes(most: int, taken: int, found: tuple[int, int]) -> None:
    """The fuzzer has found replies with negative numbers, by which -1 node was free, or more than there are."""
    assert capacity_of(most, taken, 2) == Capacity(*found, 2)
