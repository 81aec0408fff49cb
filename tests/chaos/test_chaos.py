"""The parts of scripts/chaos that act, and what CI makes of it."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mitorch_service.backends.local.supervisor import write_json
from tests.chaos.__main__ import parse
from tests.chaos.evidence import touched_at_start
from tests.chaos.folders import VARIABLE, Folders
from tests.chaos.processes import living
from tests.chaos.workload import is_canceled, items
from tests.documents import ROOT, block


def test_the_commands_of_the_document_and_of_ci_have_these_options() -> None:
    ci = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if line.startswith("scripts/chaos")]
    document = block("docs/chaos.md", "scripts/chaos").splitlines()
    stores = [parse(shlex.split(line, comments=True)[1:]).store for line in [*ci, *document]]
    assert stores == ["sqlite", "mongo"] * 2


def test_processes_are_found_by_the_folder_of_their_run_and_by_no_other(tmp_path: Path) -> None:
    run = "mt-00000000-0000-4000-8000-000000000000-a2"
    environment = {**os.environ, VARIABLE: str(tmp_path), "MITORCH_RUN": f"{tmp_path}/runs/{run}"}
    started = subprocess.Popen(["sleep", "60"], env=environment)
    try:
        (found,) = living(tmp_path)
        assert (found.pid, found.role, found.run) == (started.pid, "sleep 60", run)
        assert [*living(tmp_path.parent)] == []
        assert found.send(signal.SIGKILL)
    finally:
        started.kill()
        started.wait()
    assert not found.send(signal.SIGKILL)
    assert [*living(tmp_path)] == []


def test_a_process_that_a_controller_has_just_started_is_none(tmp_path: Path) -> None:
    """It bears its parent's command until it executes its own; one was killed as a controller."""
    code = "import os, time; os.write(1, b'%d\\n' % os.fork()); time.sleep(60)"
    command = [sys.executable, "-c", code, "mitorch_service.cli.main", "control", "run"]
    environment = {**os.environ, VARIABLE: str(tmp_path)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as controller:
        assert controller.stdout is not None
        child = max(int(controller.stdout.readline()) for _ in range(2))
        found = {process.pid: process for process in living(tmp_path)}
        for process in found.values():
            process.send(signal.SIGKILL)
    roles = {pid: process.role for pid, process in found.items()}
    assert roles == {controller.pid: "controller", child: "supervisor"}


def test_runs_are_known_that_were_hit_while_they_were_started(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    names = [f"mt-00000000-0000-4000-8000-000000000000-a{number}" for number in range(1, 5)]
    hit, untouched, unspawned, begun = (folders.home / "runs" / name for name in names)
    for folder in (hit, untouched, unspawned, begun):
        folder.mkdir(parents=True)
    write_json(hit / "spawned.json", {"supervisor": [7, 100.0]})
    write_json(untouched / "spawned.json", {"supervisor": [7, 200.0]})  # a later process with the same id
    write_json(begun / "process.json", {"supervisor": [8, 100.0], "run": [9, 100.0]})
    assert {*touched_at_start(folders, {(7, 100.0), (8, 100.0)})} == {hit.name, unspawned.name}


@pytest.mark.parametrize(("trainings", "searches"), [(12, 2), (200, 3)])
def test_the_workload_follows_from_the_seed(tmp_path: Path, trainings: int, searches: int) -> None:
    made = [items(tmp_path, tmp_path, trainings, seed) for seed in (1, 1)]
    first, again = ([next(each) for _ in range(30)] for each in made)
    assert first == again
    names = [name for name, _ in first]
    assert sum(name.startswith("search") for name in names) == searches
    assert [name for name in names if is_canceled(name)] == ["training-18"]
