"""Errors of Slurm's commands, here and through ssh."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mitorch_service.backends.slurm.commands import SlurmCommands
from mitorch_service.cluster_settings.slurm_cluster import SlurmCluster
from mitorch_service.errors import BackendError, BackendUnavailable, NoCapacity, RunRefused


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder of programs."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def commands(seconds: float = 25.0, **fields: Any) -> SlurmCommands:
    return SlurmCommands(SlurmCluster(kind="slurm", name="lab", **fields), ["SECRET"], seconds)


def write(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def error_of(folder: Path, words: str, program: str = "sbatch", code: int = 1, **fields: Any) -> BackendError:
    """The error for a command that ends with these words."""
    write(folder, "ssh" if fields else program, f"echo '{words}' >&2; exit {code}")
    with pytest.raises(BackendError) as caught:
        commands(**fields).run(program)
    return caught.value


@pytest.mark.parametrize(
    "words",
    [
        "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)",
        "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation",
        "slurm_load_jobs error: Unexpected message received",
        "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying",
        "sbatch: error: Munge encode failed: Failed to access munged socket",
    ],
)
def test_a_controller_that_is_away_is_asked_again(programs: Path, words: str) -> None:
    assert isinstance(error_of(programs, words), BackendUnavailable)
    assert isinstance(error_of(programs, words, "squeue"), BackendUnavailable)


@pytest.mark.parametrize(
    ("words", "of_request"),
    [
        ("sbatch: error: Batch job submission failed: Requested node configuration is not available", True),
        ("sbatch: error: Batch job submission failed: Invalid account or account/partition combination", False),
        ("sbatch: error: invalid partition specified: none", False),
        ("sbatch: error: Batch job submission failed: Invalid qos specification", False),
        ("sbatch: error: Batch job submission failed: Requested time limit is invalid", False),
    ],
)
def test_a_refusal_says_whose_fault_it_may_be(programs: Path, words: str, of_request: bool) -> None:
    error = error_of(programs, words)
    assert isinstance(error, RunRefused)
    assert error.of_request == of_request
    assert words.partition("error: ")[2] in error.problem


def test_a_limit_of_submitted_jobs_is_no_refusal(programs: Path) -> None:
    words = "sbatch: error: QOSMaxSubmitJobPerUserLimit"
    assert isinstance(error_of(programs, words), NoCapacity)


def test_another_error_is_said(programs: Path) -> None:
    error = error_of(programs, "squeue: error: Invalid user: nobody", "squeue")
    assert not isinstance(error, BackendUnavailable)
    assert "Invalid user: nobody" in error.problem


def test_missing_programs_name_the_remedy(programs: Path) -> None:
    with pytest.raises(BackendError, match=r"sbatch is not installed on this machine.*field ssh"):
        commands().run("sbatch")
    assert "sbatch is not installed on login" in str(
        error_of(programs, "bash: sbatch: not found", code=127, ssh="login")
    )


def test_a_host_that_ssh_does_not_reach_is_asked_again(programs: Path) -> None:
    error = error_of(programs, "ssh: connect to host login port 22: Connection refused", code=255, ssh="login")
    assert isinstance(error, BackendUnavailable)
    assert "ssh -o BatchMode=yes login squeue" in error.remedy


def test_a_command_that_hangs_is_ended(programs: Path) -> None:
    write(programs, "squeue", "exec /bin/sleep 20")
    with pytest.raises(BackendUnavailable, match=r"squeue has not answered within 0.1 s"):
        commands(0.1).run("squeue")


def test_ssh_runs_the_same_words(programs: Path) -> None:
    write(programs, "ssh", 'printf "%s\\n" "$@"; /bin/cat')
    shown = commands(ssh="me@login").run("sbatch", "--comment=a b", stdin="script").splitlines()
    assert shown[:4] == ["-o", "BatchMode=yes", "-o", "ConnectTimeout=10"]
    assert shown[4:] == ["me@login", "--", "sbatch '--comment=a b'", "script"]


def test_jobs_inherit_neither_our_settings_nor_another_jobs(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"SECRET": "1", "MITORCH_DB_URI": "2", "SLURM_JOB_ID": "3", "SLURM_CONF": "4", "SBATCH_ACCOUNT": "5"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    write(programs, "sbatch", "/usr/bin/env")
    seen = dict(line.partition("=")[::2] for line in commands().run("sbatch").splitlines())
    assert {name: seen[name] for name in given if name in seen} == {"SLURM_CONF": "4", "SBATCH_ACCOUNT": "5"}
