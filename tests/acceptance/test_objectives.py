"""A search for two objectives through the commands: a script tells both, the Pareto front is what comes out."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from tests.acceptance.conftest import Machine

SCRIPT = """
import mitorch_service as m

width = m.parameters()["width"]
for epoch in (1, 2):
    loss = float("nan") if width == 7 else 1 / width + (0.5 if width % 2 else 0)
    m.report(epoch=epoch, val_loss=loss, metrics={"seconds": width})
"""
FIRST = [{"parameters.width": 4}]
SEARCH: dict[str, Any] = {
    "job_type": "search",
    "config": {
        "script": {"command": "python train.py", "source": "train.py"},
        "parameters": {"width": {"_choice": [8, 5, 4, 1, 7]}},
    },
    "search": {
        "algorithm": "grid",
        "objective": ["val_loss", "seconds"],
        "direction": ["minimize", "minimize"],
        "max_trials": 5,
        "max_concurrent": 2,
        "seed": 0,
    },
}


@pytest.fixture
def machine(bare_machine: Machine) -> Machine:
    """SQLite: that both databases keep the same front is in the contract of stores."""
    bare_machine.write("train.py", SCRIPT)
    return bare_machine


@pytest.mark.long
def test_a_search_for_two_objectives_gives_the_front(machine: Machine) -> None:
    file = machine.write("search.json", SEARCH)
    assert "to minimize val_loss and minimize seconds:" in machine.ok("submit", file, "--explain")
    job = machine.ok("submit", file)
    machine.ok("control", "run", "--until-idle", "--every", "0.3")
    done = machine.query(job)
    assert (done["status"], done["best"]) == ("completed", None)
    assert [trial["parameters"]["parameters.width"] for trial in done["front"]] == [8, 4, 1]
    assert [trial["values"] for trial in done["front"]] == [[1 / w + w % 2 / 2, w] for w in (8, 4, 1)]
    assert [row["_id"] for row in done["leaderboard"]] == [trial["training_id"] for trial in done["front"]]
    assert [row["trial"]["values"] for row in done["leaderboard"]] == [trial["values"] for trial in done["front"]]

    shown = machine.ok("query", job)
    assert "Pareto front: 3 trials" in shown
    assert "grid, minimize val_loss and minimize seconds" in shown
    table = shown[shown.index("Pareto front") :].lower()
    assert all(column in table for column in ("val_loss", "seconds", "trial", "parameters.width"))
    assert "Pareto front: 3 trials, 2 of them" in machine.ok("query", job, "--limit", "2")
    assert "seconds=8" in machine.ok("query", "--job", job)

    refused = machine.run("control", "register-model", job, "--name", "winner")
    assert (refused.code, "a search for several objectives" in refused.err) == (1, True)

    code = "import optuna; from mitorch_service.optuna_storage.storage import MiTorchStorage as S; import sys;"
    code += "s = optuna.load_study(study_name=sys.argv[1], storage=S()); print(sorted(t.number for t in s.best_trials))"
    read = [sys.executable, "-c", code, job]
    run = subprocess.run(read, cwd=machine.folder, env=machine.environment, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == str(sorted(trial["number"] for trial in done["front"]))

    warm = {**SEARCH["search"], "algorithm": "nsga2", "warm_start": [job], "max_trials": 2, "enqueue": FIRST}
    again = machine.ok("submit", machine.write("warm.json", {**SEARCH, "search": warm}))
    machine.ok("control", "run", "--until-idle", "--every", "0.3")
    assert machine.query(again)["status"] == "completed"
