"""Searches whose trials run in parts, through the commands, with real trainings."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Machine, until
from tests.acceptance.digits import TINY_TRAINING

RATE = {"_choice": [1e-3, 3e-3, 1e-2, 1e-9]}
PROMOTED: dict[str, Any] = {
    "job_type": "search",
    "dataset": "digits",
    "config": {**TINY_TRAINING, "max_epochs": 4, "lr_scheduler": {"name": "cosine", "base_lr": RATE}},
    "search": {
        "algorithm": "random",
        "objective": "val_loss",
        "max_trials": 4,
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
    """Returns the checkpoints that trainings have kept."""
    return [path for kind in ("checkpoint-*", "shared-*") for path in machine.home.glob(f"artifacts/*/{kind}/*")]


def trials_of(machine: Machine, job: str) -> list[dict[str, Any]]:
    """The trials with their curves, by number."""
    rows = machine.run("query", "--job", job, "--json").json["trainings"]
    return sorted((machine.query(row["_id"]) for row in rows), key=lambda trial: trial["trial"]["number"])


POPULATION: dict[str, Any] = {
    "job_type": "search",
    "dataset": "digits",
    "config": {
        **TINY_TRAINING,
        "max_epochs": 4,
        "lr_scheduler": {"name": "cosine", "base_lr": {"_loguniform": [1e-9, 1e-2]}},
    },
    "search": {
        "algorithm": "pbt",
        "objective": "val_loss",
        "max_trials": 3,
        "population": {"step": 2},
        "enqueue": [{"lr_scheduler.base_lr": rate} for rate in (3e-3, 1e-9, 1e-3)],
        "seed": 0,
    },
}


@pytest.mark.long
def test_the_best_go_on_from_their_checkpoints_whoever_is_killed(machine: Machine) -> None:
    job = machine.ok("submit", machine.write("search.json", PROMOTED))
    assert "the best resume from their checkpoints" in machine.ok("submit", "search.json", "--explain")
    promoted = _kill_all_in_the_second_part(machine, job)
    assert "paused" in machine.ok("query", job)
    machine.ok("control", "run", "--until-idle", "--every", "0.3")

    document, trials = machine.query(job), trials_of(machine, job)
    assert document["status"] == "completed"
    epochs = [len(trial["curve"]) for trial in trials]
    assert set(epochs) <= {1, 2, 4}
    reached = [sum(count >= rung for count in epochs) for rung in (1, 2, 4)]
    assert reached[0] == 4
    assert 4 > reached[1] >= reached[2] >= 1
    assert sum(epochs) == reached[0] * 1 + reached[1] * 1 + reached[2] * 2  # those of the rungs
    whole = [trial for trial in trials if trial["status"] == "completed"]
    assert len(whole) == reached[2]
    assert document["best"]["value"] == min(trial["trial"]["value"] for trial in whole)
    assert all(trial["status"] == "paused" for trial in trials if trial not in whole)
    assert states(machine) == []
    assert [a["outcome"] for a in machine.query(promoted)["attempts"]][:2] == ["paused", "lost"]

    uninterrupted = machine.ok("submit", machine.write("alone.json", {**whole[0]["config"], "dataset": "digits"}))
    machine.ok("control", "run", "--until-idle", "--every", "0.3")
    alone = machine.query(uninterrupted)
    without_attempt = [{**one, "attempt": 1} for one in curve_of(whole[0])]
    assert without_attempt == [{**one, "attempt": 1} for one in curve_of(alone)]


@pytest.mark.long
def test_a_bad_member_goes_on_from_a_good_ones_state_whoever_is_killed(machine: Machine) -> None:
    job = machine.ok("submit", machine.write("population.json", POPULATION))
    explained = machine.ok("submit", "population.json", "--explain")
    assert "after epochs 2 the worst continue from checkpoints of the best" in explained
    killed = _kill_all_in_the_second_part(machine, job)
    machine.ok("control", "run", "--until-idle", "--every", "0.3")

    document, trials = machine.query(job), trials_of(machine, job)
    assert (document["status"], document["counts"]) == ("completed", {"completed": 3})
    assert [a["outcome"] for a in machine.query(killed)["attempts"]] == ["paused", "lost", "completed"]
    assert [[one["epoch"] for one in trial["curve"]] for trial in trials] == [[1, 2, 3, 4]] * 3
    bad = trials[1]
    (edge,) = bad["trial"]["lineage"]
    assert (edge["epoch"], edge["before"]) == (2, {"lr_scheduler.base_lr": 1e-9})
    assert edge["after"] == bad["trial"]["parameters"]
    assert bad["config"]["lr_scheduler"]["base_lr"] == edge["after"]["lr_scheduler.base_lr"]
    parent = trials[edge["parent_number"]]
    assert (parent["_id"], parent["trial"]["lineage"]) == (edge["parent"], [])
    own, parents = bad["curve"][1]["train_loss"], parent["curve"][1]["train_loss"]
    assert parents < own
    assert bad["curve"][2]["train_loss"] < (own + parents) / 2  # it begins where the parent was
    assert states(machine) == []
    assert "lineage" in machine.ok("query", bad["_id"])


def _kill_all_in_the_second_part(machine: Machine, job: str) -> str:
    """Runs passes until a trial goes on, then kills (SIGKILL) its run and the controller; returns the trial's id."""
    controller = machine.start("control", "run", "--until-idle", "--every", "0.3")
    try:
        trial = until(lambda: _second_attempt(machine, job), "a trial goes on", 200)
        os.killpg(machine.run_process(trial, 2), signal.SIGKILL)
    finally:
        controller.kill()
        controller.wait()
        assert controller.stdout is not None
        controller.stdout.close()
    return str(trial)


def _second_attempt(machine: Machine, job: str) -> str | None:
    """The id of a trial that runs its second part."""
    for row in machine.run("query", "--job", job, "--json").json["trainings"]:
        path = machine.home / "runs" / f"mt-{row['_id']}-a2" / "process.json"
        if row["status"] == "running" and row["attempt"] == 2 and path.exists():
            return str(row["_id"])
    return None
