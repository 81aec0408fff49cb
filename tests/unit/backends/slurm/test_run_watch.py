"""The status of a run whose job Slurm lists, does not list, or lists again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mitorch_service.backends.base import RunStatus
from mitorch_service.backends.slurm.job_queue import JobQueue
from mitorch_service.backends.slurm.run_folder import RunFolder
from mitorch_service.backends.slurm.run_watch import RunWatch
from mitorch_service.errors import BackendError, BackendUnavailable
from mitorch_service.models.attempts.run_state import RunState
from tests.unit.backends.slurm.fake_slurm import CLUSTER, FakeSlurm

RUNNING = "7|RUNNING|1|None|2026-11-30T02:00:00|2026-11-30T03:00:00|run|mitorch:lab\n"
PENDING = "7|PENDING|1|Resources|2026-11-30T02:00:00|N/A|run|mitorch:lab\n"


class Watched:
    """One run that Slurm has accepted as job 7."""

    def __init__(self, home: Path) -> None:
        self.slurm = FakeSlurm()
        self.folder = RunFolder(home / "runs" / "run")
        self.folder.create({"MITORCH_DB_URI": "mongodb://db"})
        self.folder.note_job("7")

    def status(self, missing_seconds: float = 300.0) -> RunStatus | None:
        """The status that another pass sees."""
        watch = RunWatch(JobQueue(CLUSTER, self.slurm), self.slurm, missing_seconds)
        return watch.describe({"run": self.folder})["run"]

    def start(self, job: str = "7") -> None:
        """Its job has taken the token."""
        (self.folder.path / "started").mkdir()
        (self.folder.path / "started" / "job").write_text(job)


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_an_empty_list_is_no_end(watched: Watched) -> None:
    watched.slurm.answers["sacct"] = BackendError("lab", "sacct: Slurm accounting storage is disabled", "")
    for _ in range(2):
        status = watched.status()
        assert status is not None
        assert status.state == RunState.UNKNOWN
        assert "does not list its job" in (status.reason or "")
    watched.slurm.answers["squeue"] = RUNNING
    assert watched.status() == RunStatus(RunState.RUNNING)
    assert not (watched.folder.path / "missed").exists()


def test_a_job_that_stays_away_is_lost_for_good(watched: Watched) -> None:
    watched.status()
    missed = watched.folder.path / "missed"
    os.utime(missed, (missed.stat().st_mtime - 400,) * 2)
    status = watched.status()
    assert status is not None
    assert status.state == RunState.KILLED
    assert "not listed its job for 400 s" in (status.reason or "")
    watched.slurm.answers["squeue"] = PENDING  # it comes back after all: its token is taken
    assert watched.status() == status
    assert watched.folder.started_by() == ""


def test_the_last_row_of_the_accounting_counts(watched: Watched) -> None:
    watched.slurm.answers["sacct"] = "7|run|PREEMPTED|0:0\n7|run|NODE_FAIL|1:0\n"
    status = watched.status()
    assert status == RunStatus(RunState.KILLED, "its node failed")
    assert status is not None
    assert status.preempted
    assert watched.status() == status
    assert watched.slurm.programs() == ["squeue", "sacct"]  # an end is looked up once


def test_an_earlier_job_of_the_name_says_nothing(watched: Watched) -> None:
    watched.slurm.answers["sacct"] = "6|run|COMPLETED|0:0\n"
    status = watched.status()
    assert status is not None
    assert status.state == RunState.UNKNOWN


def test_an_accounting_that_says_running_ends_nothing(watched: Watched) -> None:
    watched.slurm.answers["sacct"] = "7|run|RUNNING|0:0\n"
    status = watched.status(missing_seconds=0)
    assert status is not None
    assert status.state == RunState.UNKNOWN


def test_an_accounting_that_does_not_answer_is_asked_again(watched: Watched) -> None:
    watched.slurm.answers["sacct"] = BackendUnavailable("lab", "sacct has not answered", "")
    with pytest.raises(BackendUnavailable):
        watched.status(missing_seconds=0)


def test_a_run_that_was_never_accepted_is_unknown(watched: Watched) -> None:
    (watched.folder.path / "job").unlink()
    assert watched.status() is None
    assert watched.slurm.programs() == ["squeue"]


def test_the_exit_file_needs_no_slurm(watched: Watched) -> None:
    watched.start()
    (watched.folder.path / "exit.json").write_text('{"code": 3, "ended_at": 1.0, "reason": null}')
    assert watched.status() == RunStatus(RunState.FAILED, "it ended with exit code 3", 3)
    assert watched.slurm.calls == []
    assert not (watched.folder.path / "settings.json").exists()


def test_a_requeue_of_a_run_that_had_begun_is_a_lost_attempt(watched: Watched) -> None:
    watched.start()
    watched.slurm.answers["squeue"] = "7|PENDING|1|BeginTime|N/A|N/A|run|mitorch:lab\n"
    status = watched.status()
    assert status is not None
    assert (status.state, status.preempted) == (RunState.KILLED, True)
    assert ("scancel", "7") in watched.slurm.calls


def test_a_second_job_of_the_name_is_canceled_and_the_first_counts(watched: Watched) -> None:
    watched.start()
    watched.slurm.answers["squeue"] = RUNNING + "8|PENDING|1|Dependency|N/A|N/A|run|mitorch:lab\n"
    assert watched.status() == RunStatus(RunState.RUNNING)
    assert watched.slurm.calls[-1] == ("scancel", "8")
    assert watched.folder.job_id() == "7"


def test_a_full_disk_keeps_no_end_from_being_told(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    watched.slurm.answers["squeue"] = "7|TIMEOUT|1|None|N/A|N/A|run|mitorch:lab\n"
    monkeypatch.setattr(RunFolder, "end_as", full)
    assert watched.status() == RunStatus(RunState.KILLED, "Slurm ended it at its time limit")
