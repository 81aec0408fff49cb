"""The files that a supervisor leaves when it is stopped or killed between two of its steps."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from mitorch_service.backends.local import start_supervisor, supervisor
from mitorch_service.backends.run_files import ended_run, read_json
from mitorch_service.models.attempts.run_state import RunState


class Stopped(BaseException):
    """Stands for a supervisor that is stopped here for good."""


def test_one_that_has_taken_the_token_can_be_found_and_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass that gives the run up kills what carries its mark: a supervisor that took the token before it was marked
    would start the run whenever it continued."""

    def stop(folder: Path) -> None:
        raise Stopped

    monkeypatch.setattr(supervisor, "mark_this_process", stop)
    umask = os.umask(0o022)
    try:
        with pytest.raises(Stopped):
            supervisor.supervise(tmp_path, 1.0, 1.0, ["true"])
    finally:
        os.umask(umask)  # which a supervisor's process changes for good
    assert not (tmp_path / "started").exists()


def test_an_end_is_whole_while_another_process_is_writing_it_too(tmp_path: Path) -> None:
    """Two passes that find a dead run at the same time both record its end, and one may be killed over it."""
    with (tmp_path / "exit.part").open("w") as other:
        supervisor.write_end(tmp_path, -9, "killed")
        other.write("torn")
    found = read_json(tmp_path / "exit.json")
    assert found is not None and (found["code"], found["reason"]) == (-9, "killed")


def test_one_that_cannot_be_imported_has_failed_and_was_not_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of an upgrade a killed run would cost each training of the queue its attempts."""
    monkeypatch.setitem(sys.modules, "mitorch_service.backends.local.supervisor", None)
    assert start_supervisor.main(tmp_path, 1.0, 1.0, ["true"]) == 1
    ended = ended_run(tmp_path)
    assert ended is not None and ended.state == RunState.FAILED
    assert "its supervisor could not be started: ModuleNotFoundError" in (ended.reason or "")
    assert [path.name for path in tmp_path.iterdir()] == ["exit.json"]
