"""Trainings on a real Slurm, by the real commands."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import Machine
from tests.contracts.backends.slurm_home import slurm
from tests.documents import blocks

PROGRAM = """
import os, mitorch_service as m
print("on", os.environ["SLURMD_NODENAME"], flush=True)
for epoch in range(1, 3):
    m.report(epoch=epoch, val_loss=1 / epoch)
"""


@pytest.fixture
def lab(slurm_conf: str, bare_machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """A machine whose only cluster is the Slurm of the tests, and the training of the document."""
    monkeypatch.setenv("SLURM_CONF", slurm_conf)
    machine = Machine(bare_machine.folder, {**bare_machine.environment, "SLURM_CONF": slurm_conf})
    (machine.folder / "own").mkdir()
    machine.write("own/fit.py", PROGRAM)
    machine.write("training.json", {"script": {"command": "python fit.py", "source": "own"}, "max_epochs": 2})
    yield machine
    machine.print_logs()


@pytest.mark.long
def test_a_drill_evicts_a_run_which_resumes_with_the_same_curve(lab: Machine) -> None:
    lab.environment["MITORCH_CLUSTERS"] = json.dumps([{"name": "lab", "kind": "slurm", "partition": "low", "gpus": 0}])
    answer = lab.run("control", "drill", "lab", "--json")
    assert answer.code == 0, answer
    assert answer.json["passed"]
    assert answer.json["outcomes"] == ["lost", "completed"]


@pytest.mark.long
def test_the_commands_of_the_document(lab: Machine) -> None:
    (written,) = (block for block in blocks("json") if block.document == "docs/slurm.md")
    entry = {
        **json.loads(written.text)[0],
        "partition": "low",
        "gpus": 0,
        "cpus": 1,
        "setup": [],
        "options": ["--hold"],
    }
    del entry["time"]
    lab.environment["MITORCH_CLUSTERS"] = str(lab.folder / lab.write("clusters.json", [entry]))
    (commands,) = (block for block in blocks("bash") if block.document == "docs/slurm.md")
    _, doctor, _, _, why, logs = [shlex.split(line, comments=True) for line in commands.text.splitlines()]
    found = lab.run(*doctor[1:])
    for line in ("Slurm", "folder", "partition", "job", "accounting"):
        assert f"cluster lab {line}" in found.out, found
    training = lab.ok("submit", "training.json")
    lab.ok("control")
    shown = lab.ok("query", *[training if word == "$id" else word for word in why[1:]])
    assert "lab says of its run: PENDING (" in shown
    (job,) = slurm("squeue", "-h", "-o", "%i", f"--name=mt-{training}-a1").split()
    slurm("scontrol", "release", job)
    lab.ok("control", "run", "--until-idle", "--every", "0.3")
    done = lab.query(training)
    assert done["status"] == "completed", done
    assert [one["epoch"] for one in done["curve"]] == [1, 2]
    assert done["attempts"][0]["price"] == 0.4
    assert lab.ok(*["control", *[training if word == "$id" else word for word in logs[1:]]]).count("on n") == 1
    folder = Path(done["attempts"][0]["url"])
    assert not (folder / "settings.json").exists()
