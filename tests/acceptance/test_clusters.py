"""Several clusters on one machine: where trainings wait and why, and what they cost."""

from __future__ import annotations

import json
import re

import pytest

from tests.acceptance.conftest import Machine
from tests.acceptance.digits import TINY_SEARCH, TINY_TRAINING

SECRET = "hunter2"
CLUSTERS = [
    {"name": "here", "slots": 1, "price": 3600.0, "gpus": 0},  # 1.00 a second
    {"name": "there", "slots": 0, "gpus": 8},
]


def test_one_waits_for_a_gpu_and_a_search_ends_with_its_budget(machine: Machine) -> None:
    machine.environment["MITORCH_CLUSTERS"] = json.dumps(CLUSTERS)
    waiting = machine.ok("submit", machine.write("gpu.json", {**TINY_TRAINING, "resources": {"gpus": 1}}))
    search = {**TINY_SEARCH["search"], "max_trials": 50, "max_concurrent": 1, "max_cost": 0.01}
    config = {**TINY_SEARCH["config"], "max_epochs": 1}
    job = machine.ok("submit", machine.write("search.json", {**TINY_SEARCH, "config": config, "search": search}))
    machine.ok("control")
    why = machine.ok("query", "--why", waiting[:8])
    assert "1st in the queue (priority 100)" in why
    assert "has 0 GPUs a node, 1 needed" in why
    assert "has 0 nodes in all, 1 needed" in why
    answer = machine.run("query", waiting, "--why", "--json").json
    assert (answer["id"], answer["status"], set(answer["clusters"])) == (waiting, "new", {"here", "there"})
    assert "1 of 50 trials created, 1 of them not ended" in machine.ok("query", "--why", job)
    machine.ok("control", "cancel", waiting)
    machine.ok("control", "run", "--until-idle", "--every", "0.2")
    _the_budget_is_spent(machine, job)
    _what_it_has_cost_is_told_everywhere(machine, job)


def _the_budget_is_spent(machine: Machine, job: str) -> None:
    shown = machine.query(job)
    assert (shown["status"], shown["note"]) == ("completed", "its budget of 0.01 is spent: no new trials")
    assert shown["cost"] >= 0.01
    assert shown["counts"] == {"completed": 1}
    assert "its budget of 0.01 is spent" in machine.ok("query", job)
    assert "it has ended: completed" in machine.ok("query", job, "--why")


def _what_it_has_cost_is_told_everywhere(machine: Machine, job: str) -> None:
    cost = machine.query(job)["cost"]
    trial = machine.query(machine.query(job)["best"]["training_id"])
    assert trial["attempts"][0]["price"] == 3600.0
    assert trial["cost"] == pytest.approx(cost)
    assert trial["cost"] == pytest.approx(trial["node_hours"] * 3600)
    for id in (job, trial["_id"]):
        assert re.search(rf"^cost +{cost:.2f}$", machine.ok("query", id), re.MULTILINE)
    assert "it was completed" in machine.ok("query", trial["_id"], "--why")
    bill = machine.run("control", "status", "--cost", "--json").json
    assert bill["total"]["cost"] == pytest.approx(cost)
    assert (list(bill["clusters"]), list(bill["jobs"])) == (["here"], [job])
    assert sum(day["cost"] for day in bill["days"].values()) == pytest.approx(cost)
    assert f"{cost:.2f}" in machine.ok("control", "status", "--cost", "--since", "2d")


def test_what_no_cluster_can_ever_give_is_refused_at_submission(machine: Machine) -> None:
    machine.environment["MITORCH_CLUSTERS"] = json.dumps(CLUSTERS)
    config = machine.write("big.json", {**TINY_TRAINING, "resources": {"gpus": 16}})
    machine.write("many.jsonl", json.dumps({**TINY_TRAINING, "resources": {"cluster": "their"}}))
    refused = machine.run("submit", config)
    assert (refused.code, "cluster there: has 8 GPUs a node, 16 needed" in refused.err) == (2, True)
    refused = machine.run("submit", "--many", "many.jsonl")
    assert (refused.code, "did you mean 'there'?" in refused.err) == (2, True)


def test_wrong_usage_is_told(bare_machine: Machine) -> None:
    for words in (["query", "--why"], ["control", "status", "--since", "3d"], ["query", "ab", "--why", "--watch"]):
        assert bare_machine.run(*words).code == 2
    wrong = bare_machine.run("control", "status", "--cost", "--since", "soon")
    assert (wrong.code, "--since" in wrong.err) == (2, True)
    assert bare_machine.run("query", "abcd", "--why").code == 1


def test_settings_that_are_wrong_are_told_by_the_doctor_without_their_password(bare_machine: Machine) -> None:
    cluster = {"name": "gpu", "kind": "azureml", "auth": f"me@home.org:{SECRET}", "workspace": "w"}
    for environment in (
        {"MITORCH_CLUSTERS": json.dumps([cluster])},
        {"MITORCH_CLUSTERS": json.dumps([{**cluster, "auth": SECRET}])},
        {"MITORCH_AML_AUTH": f"me@home.org:{SECRET}", "MITORCH_AML_COMPUTE": "gpu"},
    ):
        sick = bare_machine.run("doctor", "--debug", **environment)
        assert sick.code == 1
        assert "FAIL  settings: MITORCH_" in sick.out
        assert SECRET not in sick.out + sick.err
        broken = bare_machine.run("control", "--debug", **environment)
        assert broken.code == 2
        assert SECRET not in broken.out + broken.err
