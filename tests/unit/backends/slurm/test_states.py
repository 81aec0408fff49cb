"""Slurm's words for the states of jobs."""

from __future__ import annotations

import pytest

from mitorch_service.backends.slurm.states import active_status, ended_status, state_of
from mitorch_service.models.attempts.run_state import RunState


def test_a_state_that_nobody_knows_is_waited_for() -> None:
    assert state_of("NEW_IN_SLURM_99") == RunState.UNKNOWN
    assert active_status("NEW_IN_SLURM_99", "None").state == RunState.UNKNOWN


@pytest.mark.parametrize(
    ("word", "reason", "mark"),
    [
        ("PREEMPTED", "Slurm preempted it for another job", "preempted"),
        ("NODE_FAIL", "its node failed", "preempted"),
        ("TIMEOUT", "Slurm ended it at its time limit", "preempted"),
        ("OUT_OF_MEMORY", "Slurm ended it: it used more memory than its job may", ""),
        ("CANCELLED by 1000", "it was canceled with scancel by user 1000", "canceled"),
        ("CANCELLED", "it was canceled with scancel", "canceled"),
        ("CANCELLED+", "it was canceled with scancel", "canceled"),
    ],
)
def test_an_end_without_an_exit_file_is_no_failure_of_the_training(word: str, reason: str, mark: str) -> None:
    status = ended_status(word)
    assert (status.state, status.reason) == (RunState.KILLED, reason)
    assert (status.preempted, status.canceled) == (mark == "preempted", mark == "canceled")


@pytest.mark.parametrize("word", ["COMPLETED", "FAILED"])
def test_a_job_that_ended_before_its_run_began_says_where_to_look(word: str) -> None:
    status = ended_status(word, "127:0")
    assert status.state == RunState.FAILED  # of a run that never began, which is its cluster's fault
    assert "exit code 127 before it wrote how" in (status.reason or "")


def test_people_are_told_slurms_words() -> None:
    status = active_status("PENDING", "QOSMaxJobsPerUserLimit")
    assert (status.state, status.word) == (RunState.PENDING, "PENDING (QOSMaxJobsPerUserLimit)")
    assert active_status("RUNNING", "None").word == "RUNNING"
