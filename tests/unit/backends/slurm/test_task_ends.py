"""The end of a run on several nodes, from the ends of its tasks."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from mitorch_service.backends.base import RunStatus
from mitorch_service.backends.node import ProcessFailure
from mitorch_service.backends.slurm import task_ends
from mitorch_service.backends.slurm.node import SlurmNode
from mitorch_service.backends.slurm.run_folder import RunFolder
from mitorch_service.backends.slurm.supervisor import TAKEN_AWAY, note_if_taken_away
from mitorch_service.backends.slurm.task_ends import TaskEnd, TaskEnds
from mitorch_service.models.attempts.run_state import RunState

TERM = -signal.SIGTERM


@pytest.fixture
def ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TaskEnds:
    monkeypatch.setattr(task_ends, "_SETTLE_SECONDS", 0.0)
    return TaskEnds(tmp_path, "7")


@pytest.mark.parametrize(
    ("told", "verdict"),
    [
        ([TaskEnd(0, 0), TaskEnd(1, 0)], TaskEnd(0, 0)),
        ([TaskEnd(0, 0), TaskEnd(1, 3)], TaskEnd(1, 3)),
        ([TaskEnd(0, TERM, was_terminated=True), TaskEnd(1, 3)], TaskEnd(1, 3)),
        ([TaskEnd(0, 143, was_terminated=True), TaskEnd(1, -9, "silent")], TaskEnd(1, -9, "silent")),
        ([TaskEnd(1, 3), TaskEnd(0, 1)], TaskEnd(1, 3)),
        ([TaskEnd(0, 1), TaskEnd(1, 3)], TaskEnd(0, 1)),
        ([TaskEnd(0, 75), TaskEnd(1, 1)], TaskEnd(1, 1)),  # the first has lost the second
        ([TaskEnd(0, 75), TaskEnd(1, TERM)], TaskEnd(0, 75)),
        ([TaskEnd(0, TERM, was_terminated=True)], TaskEnd(0, TERM, was_terminated=True)),
        ([TaskEnd(0, 0), TaskEnd(1, 143, was_terminated=True)], TaskEnd(0, 143, was_terminated=True)),
    ],
)
def test_the_first_failure_decides(ends: TaskEnds, tmp_path: Path, told: list[TaskEnd], verdict: TaskEnd) -> None:
    for at, end in enumerate(told):
        ends.write(end)
        os.utime(tmp_path / f"end-7-{end.rank}.json", (at, at))
    TaskEnds(tmp_path, "6").write(TaskEnd(1, 4))  # another job's
    (own,) = [end for end in told if end.rank == 0]
    assert replace(ends.await_verdict(own, 2, lambda: False), at=0.0) == verdict


def test_a_task_that_says_nothing_was_ended_from_outside(ends: TaskEnds) -> None:
    """It has never started, or its node is lost: Slurm ends this one."""
    own = TaskEnd(0, 0)
    ends.write(own)
    asked = iter([False, False, True, True])
    assert ends.await_verdict(own, 2, lambda: next(asked)) == TaskEnd(0, TERM, was_terminated=True)


def test_a_failure_of_another_task_is_no_preemption(
    ends: TaskEnds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    node = SlurmNode({"MITORCH_SLURM_RUN": str(tmp_path)})
    assert node.failed_process() is None
    (tmp_path / "log-1.txt").write_text("reading\nbroken: mongodb://me:hunter2@db/\n\n")
    ends.write(TaskEnd(1, 3))
    assert not node.is_preempted()
    reason = "its process of rank 1 ended with exit code 3: broken: mongodb://me:***@db/"
    assert node.failed_process() == ProcessFailure(reason, of_training=True)
    assert not (tmp_path / TAKEN_AWAY).exists()
    ends.write(TaskEnd(1, 75))
    failure = node.failed_process()
    assert failure is not None
    assert not failure.of_training
    (tmp_path / TAKEN_AWAY).touch()  # the time limit was announced before
    assert note_if_taken_away(tmp_path)


@pytest.mark.parametrize("preempted", [False, True])
def test_a_task_tells_more_than_slurm(tmp_path: Path, preempted: bool) -> None:
    """The first task was killed before it could write how the run has ended."""
    folder = RunFolder(tmp_path / "run")
    folder.create({})
    (folder.path / "started").mkdir()
    (folder.path / "started" / "job").write_text("7")
    TaskEnds(folder.path, "7").write(TaskEnd(1, 3))
    by_slurm = RunStatus(RunState.KILLED, "its node failed", preempted=preempted)
    reason = "its process of rank 1 ended with exit code 3"
    assert folder.end_as(by_slurm) == (by_slurm if preempted else RunStatus(RunState.FAILED, reason, 3))
