"""The product's main job: queue, control, train, stream, query."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Machine, until
from tests.acceptance.digits import ENDLESS_TRAINING, TINY_SEARCH, TINY_TRAINING


def test_a_training_and_a_search_run_to_their_end(each_machine: Machine) -> None:
    machine = each_machine
    drawn = "MITORCH_DB_URI" not in machine.environment  # once: pictures do not depend on the store
    if drawn:
        machine.environment["REAL_PICTURES"] = "yes"  # see `tests.warm.server`
    machine.write("search.json", TINY_SEARCH)
    job = machine.ok("submit", "search.json", "--name", "sweep")
    training = machine.ok("submit", "training.json", "--priority", "1", "--tag", "team=vision")
    shown = machine.ok("control", "run", "--until-idle", "--every", "0.3")
    launched = re.findall(r"training (\w{8}) launched", shown)
    assert launched[0] == training[:8]  # the lower priority number, though submitted later
    assert len(launched) == len(set(launched)) == 3
    assert f"training {training[:8]} completed" in shown

    document = machine.query(training)
    assert document["status"] == "completed"
    assert [result["epoch"] for result in document["curve"]] == [1, 2]
    last = document["curve"][-1]
    assert document["evaluation"]["val_loss"] == last["val_loss"]
    assert last["train_loss"] < document["curve"][0]["train_loss"]
    assert {"test_loss", "test_top1_accuracy"} <= set(document["evaluation"])
    assert Path(document["artifacts"]["model"]).stat().st_size > 100_000
    assert "epoch 2" in Path(document["artifacts"]["log"]).read_text()
    pictures = [Path(path) for path in document["artifacts"].values() if path.endswith(".png")]
    assert {path.name for path in pictures} >= {"curves.png", "confusion_matrix.png", "worst_mistakes.png"}
    assert all(path.stat().st_size > 5_000 for path in pictures) or not drawn
    assert document["dataset"] == {"name": "digits", "version": 1}

    search = machine.query(job)
    assert (search["status"], search["counts"]) == ("completed", {"completed": 2})
    values = [row["trial"]["value"] for row in search["leaderboard"]]
    assert values == sorted(values, reverse=True)
    assert search["best"]["training_id"] == search["leaderboard"][0]["_id"]
    board = machine.ok("query", job[:8])
    assert "LEADERBOARD" in board.upper()
    assert "lr_scheduler.base_lr".upper() in board


@pytest.mark.long
def test_the_weights_are_what_mitest_measures(machine: Machine) -> None:
    training = machine.ok("submit", "training.json")
    machine.ok("control", "run", "--until-idle", "--every", "0.3")
    document = machine.query(training)
    tested = machine.ok("test", "training.json", "digits/test.txt", "-w", document["artifacts"]["model"], "--json")
    measured: dict[str, Any] = json.loads(tested)
    assert measured["test_top1_accuracy"] == document["evaluation"]["test_top1_accuracy"]
    for split, name in (("", "top1_accuracy"), ("test_", "test_top1_accuracy")):
        with Path(document["artifacts"][f"{split}predictions"]).open(newline="") as file:
            correct = [row["correct"] == "1" for row in csv.DictReader(file)]
        assert sum(correct) / len(correct) == pytest.approx(document["evaluation"][name], abs=1e-6)
    assert {"test_confusion_matrix", "test_per_class"} <= document["artifacts"].keys()

    answer = machine.run("predict", training[:8], "digits:1", "--split", "test", "--top", "2")
    assert (answer.code, answer.err) == (0, "")
    predicted = [json.loads(line) for line in answer.out.splitlines()]
    with Path(document["artifacts"]["test_predictions"]).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [one["labels"][0]["class"] for one in predicted] == [row["prediction"] for row in rows]
    scores = [one["labels"][0]["score"] for one in predicted]
    assert scores == pytest.approx([float(row["probability"]) for row in rows], abs=1e-6)
    assert all(len(one["labels"]) == 2 for one in predicted)

    exported = machine.ok("export", training[:8], "--to", "torchscript", "-o", "digits.pt")
    assert re.search(r"checked on 4 images \(digits:1\): the largest difference is \d\.\de[-+]\d\d", exported)


@pytest.mark.long
def test_a_base_training_is_started_from(machine: Machine) -> None:
    first = machine.ok("submit", "training.json")
    machine.ok("control", "run", "--until-idle", "--every", "0.3")
    machine.write("next.json", {**TINY_TRAINING, "base": first, "max_epochs": 1})
    second = machine.ok("submit", "next.json")
    machine.ok("control", "run", "--until-idle", "--every", "0.3")
    before, after = machine.query(first)["curve"][0], machine.query(second)["curve"][0]
    assert after["train_loss"] < 0.8 * before["train_loss"]


def test_a_killed_run_is_tried_again_with_the_reason(machine: Machine) -> None:
    training = machine.ok("submit", "training.json")
    machine.ok("control")
    os.kill(machine.run_process(training), signal.SIGKILL)
    until((machine.home / f"runs/mt-{training}-a1/exit.json").exists, "the supervisor has seen the end")
    machine.ok("control", "run", "--until-idle", "--every", "0.3")
    document = machine.query(training)
    assert document["status"] == "completed"
    assert [attempt["outcome"] for attempt in document["attempts"]] == ["lost", "completed"]
    assert "SIGKILL" in document["attempts"][0]["reason"]
    assert [result["epoch"] for result in document["curve"]] == [1, 2]


def test_a_run_that_is_always_killed_fails_in_the_end(machine: Machine) -> None:
    training = machine.ok("submit", "training.json")
    for attempt in (1, 2, 3):
        machine.ok("control")
        os.kill(machine.run_process(training, attempt), signal.SIGKILL)
        until((machine.home / f"runs/mt-{training}-a{attempt}/exit.json").exists, "it has ended")
        machine.run("control")
    document = machine.query(training)
    assert document["status"] == "failed"
    assert re.search("lost 3 times, which is the limit.*SIGKILL", document["error"]["message"])


def test_runs_outlive_their_controller_and_are_found_again(machine: Machine) -> None:
    training = machine.ok("submit", "training.json")
    controller = machine.start("control", "run", "--every", "0.2")
    machine.run_process(training)
    controller.kill()
    controller.communicate()
    machine.ok("control", "run", "--until-idle", "--every", "0.3")
    document = machine.query(training)
    assert (document["status"], len(document["attempts"])) == ("completed", 1)


def test_two_controllers_at_once_launch_each_training_once(machine: Machine) -> None:
    trainings = [machine.ok("submit", "training.json") for _ in range(3)]
    controllers = [machine.start("control", "run", "--until-idle", "--every", "0.1") for _ in range(2)]
    outputs = [controller.communicate()[0] for controller in controllers]
    assert [controller.returncode for controller in controllers] == [0, 0], outputs
    for training in trainings:
        document = machine.query(training)
        assert (document["status"], len(document["attempts"])) == ("completed", 1)
        log = Path(document["artifacts"]["log"]).read_text()
        assert log.count("training on") == 1


def test_a_running_training_is_canceled_cleanly(machine: Machine) -> None:
    machine.write("endless.json", ENDLESS_TRAINING)
    training = machine.ok("submit", "endless.json")
    machine.ok("control")
    until(lambda: machine.query(training)["curve"], "an epoch is recorded")
    machine.ok("control", "cancel", training[:8])
    machine.ok("control", "run", "--until-idle", "--every", "0.2")
    document = machine.query(training)
    assert document["status"] == "canceled"
    assert document["attempts"][0]["outcome"] == "canceled"
    assert "canceled" in machine.ok("control", "cancel", training)  # again is no error


def test_sigterm_ends_a_training_as_canceled(machine: Machine) -> None:
    machine.write("endless.json", ENDLESS_TRAINING)
    training = machine.ok("submit", "endless.json")
    machine.ok("control")
    until(lambda: machine.query(training)["curve"], "an epoch is recorded")
    os.kill(machine.run_process(training), signal.SIGTERM)
    until(lambda: machine.query(training)["status"] == "canceled", "the run has said so")
    machine.ok("control", "retry", training)
    assert machine.query(training)["status"] == "new"


def test_sigterm_of_a_machine_that_shuts_down_loses_an_attempt_only(machine: Machine) -> None:
    machine.write("systemctl", "#!/bin/sh\necho stopping\n")
    (machine.folder / "systemctl").chmod(0o755)
    machine.environment["PATH"] = f"{machine.folder}:{machine.environment['PATH']}"
    machine.write("endless.json", ENDLESS_TRAINING)
    training = machine.ok("submit", "endless.json")
    machine.ok("control")
    until(lambda: machine.query(training)["curve"], "an epoch is recorded")
    os.kill(machine.run_process(training), signal.SIGTERM)

    def lost() -> bool:
        machine.ok("control")
        return bool(machine.query(training)["attempts"][0]["outcome"] == "lost")

    until(lost, "the controller has seen it")
    assert machine.query(training)["status"] in ("new", "queued", "running")
    machine.ok("control", "cancel", training)
    machine.ok("control", "run", "--until-idle", "--every", "0.2")


def test_a_job_is_canceled_with_all_its_trials(machine: Machine) -> None:
    search = {**TINY_SEARCH, "config": {**TINY_SEARCH["config"], "max_epochs": 10_000}}
    search["search"] = {**search["search"], "max_trials": 5}
    machine.write("search.json", search)
    job = machine.ok("submit", "search.json")
    machine.ok("control")
    machine.ok("control", "cancel", job)
    machine.ok("control", "run", "--until-idle", "--every", "0.2")
    document = machine.query(job)
    assert document["status"] == "canceled"
    assert document["counts"] == {"canceled": 5}
    assert "deleted with 5 trials" in machine.ok("control", "delete", job)
    assert machine.run("query", job).code == 1


def test_a_failing_training_tells_why(machine: Machine) -> None:
    training = machine.ok("submit", "training.json")
    (machine.folder / "digits" / "images.zip").write_bytes(b"not a zip")
    machine.run("control", "run", "--until-idle", "--every", "0.3")
    document = machine.query(training)
    assert (document["status"], document["error"]["type"]) == ("failed", "DataError")
    assert "images.zip" in document["error"]["message"]
    assert document["error"]["log_tail"]
    assert "images.zip" in machine.ok("query", training)


def test_a_diverging_training_is_told_apart(machine: Machine) -> None:
    scheduler = {"name": "constant", "base_lr": 100.0}
    machine.write("wild.json", {**TINY_TRAINING, "optimizer": {"name": "sgd"}, "lr_scheduler": scheduler})
    training = machine.ok("submit", "wild.json")
    machine.ok("control", "run", "--until-idle", "--every", "0.3")
    document = machine.query(training)
    assert document["status"] == "diverged"
    assert "base_lr" in document["error"]["message"]


def test_an_interrupted_loop_ends_at_once_and_loses_nothing(machine: Machine) -> None:
    training = machine.ok("submit", "training.json")
    controller = machine.start("control", "run", "--every", "300")
    machine.run_process(training)
    controller.send_signal(signal.SIGINT)
    out = controller.communicate(timeout=10)[0]
    assert controller.returncode == 130
    assert "Traceback" not in out
    machine.ok("control", "run", "--until-idle", "--every", "0.3")
    assert machine.query(training)["status"] == "completed"
