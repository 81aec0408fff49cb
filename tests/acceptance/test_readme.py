"""What the README says, run as a reader would: every command in it is here, or is run by .ci/run itself."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mitorch_service.models.dataset import DatasetDefinition
from mitorch_service.models.validation import check
from mitorch_service.settings import LocalCluster, read_settings
from scripts.write_digits import write_digits
from tests.acceptance.conftest import Machine
from tests.acceptance.readme import COMMANDS, README, ROOT

RUN_BY_CI = {"scripts/quickstart", "scripts/test"}


@pytest.fixture
def reader(bare_machine: Machine) -> Machine:
    """Somebody who has run scripts/quickstart: the data set is there and registered."""
    definition = write_digits(bare_machine.home / "quickstart")
    bare_machine.ok("dataset", "register", definition)
    return bare_machine


def shell(machine: Machine, script: str) -> str:
    """Runs a block of the README in the repository's folder; returns what it printed."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.replace("source .venv/bin/activate\n", "")],
        cwd=ROOT,
        env={**machine.environment, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_two_commands_are_run_by_ci() -> None:
    named = {line.split("#")[0].strip() for line in COMMANDS[0].splitlines() if line.strip()}
    assert named == RUN_BY_CI
    gate = (ROOT / ".ci" / "run").read_text() + (ROOT / "scripts" / "check").read_text()
    assert all(command in gate for command in RUN_BY_CI)


def test_every_block_of_commands_is_tested() -> None:
    assert len(COMMANDS) == 7  # those on Azure: test_readme_azure.py


def test_the_tour(reader: Machine) -> None:
    out = shell(reader, COMMANDS[1])
    assert "ok    database: SQLite" in out
    assert "An auto search on digits:1" in out
    assert re.search(r"training \w{8} launched on local", out)
    assert "mine" in out


def test_training_without_the_service(reader: Machine, tmp_path: Path) -> None:
    weights = tmp_path / "digits.pth"
    out = shell(reader, COMMANDS[2].replace("/tmp/digits.pth", str(weights)))
    assert "epoch 8/8" in out
    assert weights.stat().st_size > 100_000
    accuracy = float(re.findall(r"top1_accuracy[= ]+([0-9.]+)", out)[-1])
    assert accuracy > 0.95


def test_a_program_of_ones_own(reader: Machine) -> None:
    shell(reader, COMMANDS[3])
    assert json.loads(reader.ok("query", "--json"))["counts"] == {"completed": 5}


def test_a_study_of_optuna(bare_machine: Machine) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    subprocess.run([sys.executable, "-c", block], env=bare_machine.environment, check=True, capture_output=True)
    assert len(json.loads(bare_machine.ok("query", "--limit", "100", "--json"))["trainings"]) == 20


def test_going_to_mongodb(reader: Machine, mongodb_uri: str, tmp_path: Path) -> None:
    block = COMMANDS[4].replace("mongodb://user:password@host:27017/", mongodb_uri)
    out = shell(reader, block.replace("/mnt/shared/mitorch", str(tmp_path / "shared")))
    assert "ok    database: MongoDB" in out
    assert f"ok    storage: writable, {tmp_path / 'shared'}" in out


def test_the_examples_are_valid() -> None:
    definition, script, _ = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", README, re.DOTALL)]
    assert check(DatasetDefinition, definition[0])[1] == []
    assert script == json.loads((ROOT / "scripts" / "own_script.json").read_text())
    (clusters,) = re.findall(r'`(\[\{"name": "local".*?\])`', README)
    assert read_settings({"MITORCH_CLUSTERS": clusters}).clusters == (LocalCluster(name="local", slots=2),)


def test_every_setting_is_in_the_readme() -> None:
    source = (ROOT / "mitorch_service" / "settings.py").read_text()
    for variable in set(re.findall(r"MITORCH_[A-Z_]+[A-Z]\b", source)):
        assert f"`{variable}`" in README, variable
