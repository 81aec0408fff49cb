"""Damaged documents and full storage, as people meet them in the commands."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.conftest import Machine, until
from tests.small_disk import tmpfs

SCRIPT = "import mitorch_service as m\nm.report(epoch=1, train_loss=1, val_loss=0.5)\n"


def cut(machine: Machine, training: str) -> None:
    """Leaves two thirds of a stored document."""
    with sqlite3.connect(machine.home / "mitorch.db") as raw:
        raw.execute("UPDATE trainings SET body = substr(body, 1, length(body) * 2 / 3) WHERE _id = ?", (training,))
    raw.close()


def test_a_damaged_training_is_told_by_its_id_and_everything_else_goes_on(machine: Machine) -> None:
    bad, worse, good = (machine.ok("submit", "training.json") for _ in range(3))
    cut(machine, bad)
    cut(machine, worse)
    listed = machine.run("query")
    assert (listed.code, good[:8] in listed.out, bad in listed.err) == (0, True, True)
    status = machine.run("control", "status")
    assert (status.code, bad in status.err) == (0, True)
    answer = machine.run("query", bad)
    assert (answer.code, "micontrol repair" in answer.err) == (1, True)
    answer = machine.run("control", MITORCH_CLUSTERS='[{"name": "none", "kind": "local", "slots": 0}]')
    assert (answer.code, bad in answer.err, "Traceback" in answer.err) == (1, True, False)
    assert "repaired: it is failed" in machine.ok("control", "repair", bad[:8])
    assert json.loads(machine.ok("control", "repair", bad, "--json"))["repaired"] is False
    machine.ok("control", "retry", bad)
    machine.ok("control", "delete", worse)
    assert machine.run("query", "--json").json["counts"] == {"new": 2}


def test_whoever_waits_is_told_that_no_controller_passes(machine: Machine) -> None:
    answer = machine.run("submit", "training.json")
    assert "no controller has made a pass yet" in answer.err
    assert "no controller has made a pass yet" in machine.run("query").err
    assert "no controller has made a pass yet" in machine.ok("control", "status")
    machine.run("control", MITORCH_CLUSTERS='[{"name": "none", "kind": "local", "slots": 0}]')
    assert machine.run("query").err == ""
    assert machine.run("submit", "training.json").err == ""
    assert "controller: last pass 2" in machine.ok("control", "status")
    told = machine.run("control", "status", "--json").json["controller"]
    assert (told["missing"], told["every"]) == (False, None)


@pytest.mark.skipif(os.geteuid() != 0, reason="a read-only mount needs root")
def test_a_read_only_storage_costs_nothing_and_is_told_with_its_time(bare_machine: Machine, tmp_path: Path) -> None:
    bare_machine.write("train.py", SCRIPT)
    config = {"script": {"source": "train.py", "command": ["python", "train.py"]}}
    bare_machine.write("training.json", config)
    with tmpfs(tmp_path / "storage", "8m") as storage:
        bare_machine.environment["MITORCH_STORAGE_URL"] = str(storage)
        training = bare_machine.ok("submit", "training.json")
        subprocess.run(["mount", "-o", "remount,ro", str(storage)], check=True)
        bare_machine.ok("control")
        until(lambda: bare_machine.query(training)["status"] == "new", "the attempt is over")
        (attempt,) = bare_machine.query(training)["attempts"]
        assert attempt["outcome"] == "blocked"
        assert "Read-only file system" in attempt["reason"]
        assert "rests since 2" in bare_machine.ok("control", "status")
        doctor = bare_machine.run("doctor").out
        assert "FAIL  storage" in doctor
        assert "FAIL  runs on local: rests since 2" in doctor
        bare_machine.ok("control")
        assert len(bare_machine.query(training)["attempts"]) == 1  # the cluster rests
