"""Searches whose trials run in parts, through the commands, with real trainings."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from tests.acceptance.conftest import Machine, until
from tests.acceptance.digits import TINY_TRAINING

RATE = {"_choice": [1e-3, 2e-3, 3e-3, 5e-3, 1e-2, 1e-9]}
PROMOTED: dict[str, Any] = {
    "job_type": "search",
    "dataset": "digits",
    "config": {**TINY_TRAINING, "max_epochs": 4, "lr_scheduler": {"name": "cosine", "base_lr": RATE}},
    "search": {
        "algorithm": "random",
        "objective": "val_loss",
        "max_trials": 6,
        "max_concurrent": 2,
        "early_stopping": {"rule": "asha", "factor": 2, "min_epochs": 1},
        "resume_promoted": True,
        "seed": 0,
    },
}
CLOCK = ("epoch_seconds", "samples_per_second", "finished_at")


def curve_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    """All of a curve that does not depend on the time it took."""
    return [{name: value for name, value in one.items() if name not in CLOCK} for one in document["curve"]]


def states(machine: Machine) -> list[Path]:
    """What trainings have kept to go on from."""
    return [path for kind in ("checkpoint-*", "shared-*") for path in machine.home.glob(f"artifacts/*/{kind}/*")]


def trials_of(machine: Machine, job: str) -> list[dict[str, Any]]:
    """The trials with their curves, by number."""
    rows = machine.run("query", "--job", job, "--json").json["trainings"]
    return sorted((machine.query(row["_id"]) for row in rows), key=lambda trial: trial["trial"]["number"])


def test_the_best_go_on_from_their_checkpoints_whoever_is_killed(machine: Machine) -> None:
    job = machine.ok("submit", machine.write("search.json", PROMOTED))
    assert "go on" in machine.ok("submit", "search.json", "--explain")
    controller = machine.start("control", "run", "--until-idle", "--every", "0.3")
    try:
        promoted = until(lambda: _second_attempt(machine, job), "a trial is promoted", 200)
        os.killpg(machine.run_process(promoted, 2), signal.SIGKILL)
        controller.kill()  # SIGKILL too
    finally:
        controller.kill()
        controller.wait()
        assert controller.stdout is not None
        controller.stdout.close()
    assert "paused" in machine.ok("query", job)
    machine.ok("control", "run", "--until-idle", "--every", "0.3")

    document, trials = machine.query(job), trials_of(machine, job)
    assert document["status"] == "completed"
    epochs = [len(trial["curve"]) for trial in trials]
    assert set(epochs) <= {1, 2, 4}
    reached = [sum(count >= rung for count in epochs) for rung in (1, 2, 4)]
    assert reached[0] == 6
    assert 6 > reached[1] >= reached[2] >= 1
    assert sum(epochs) == reached[0] * 1 + reached[1] * 1 + reached[2] * 2  # those of the rungs
    whole = [trial for trial in trials if trial["status"] == "completed"]
    assert len(whole) == reached[2]
    assert document["best"]["value"] == min(trial["trial"]["value"] for trial in whole)
    assert all(trial["status"] == "pruned" for trial in trials if trial not in whole)
    assert states(machine) == []
    assert [a["outcome"] for a in machine.query(promoted)["attempts"]][:2] == ["pruned", "lost"]

    uninterrupted = machine.ok("submit", machine.write("alone.json", {**whole[0]["config"], "dataset": "digits"}))
    machine.ok("control", "run", "--until-idle", "--every", "0.3")
    alone = machine.query(uninterrupted)
    without_attempt = [{**one, "attempt": 1} for one in curve_of(whole[0])]
    assert without_attempt == [{**one, "attempt": 1} for one in curve_of(alone)]


def _second_attempt(machine: Machine, job: str) -> str | None:
    """The id of a trial that runs its second part."""
    for row in machine.run("query", "--job", job, "--json").json["trainings"]:
        path = machine.home / "runs" / f"mt-{row['_id']}-a2" / "process.json"
        if row["status"] == "running" and row["attempt"] == 2 and path.exists():
            return str(row["_id"])
    return None
