"""The parts of scripts/chaos that act, and what CI makes of it."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from tests.chaos.__main__ import parse
from tests.chaos.folders import VARIABLE
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


@pytest.mark.parametrize(("trainings", "searches"), [(12, 2), (200, 3)])
def test_the_workload_follows_from_the_seed(tmp_path: Path, trainings: int, searches: int) -> None:
    made = [items(tmp_path, tmp_path, trainings, seed) for seed in (1, 1)]
    first, again = ([next(each) for _ in range(30)] for each in made)
    assert first == again
    names = [name for name, _ in first]
    assert sum(name.startswith("search") for name in names) == searches
    assert [name for name in names if is_canceled(name)] == ["training-18"]
