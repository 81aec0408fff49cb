"""`micontrol prune` beside a service that runs, killed in the middle, on each database."""

from __future__ import annotations

import gzip
import json
import re
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mitorch_service.models.status import ENDED, JobStatus
from mitorch_service.models.training import Training, run_name
from mitorch_service.settings import read_settings
from mitorch_service.stores.base import Store
from mitorch_service.wiring import open_store
from tests.acceptance.conftest import Machine, until
from tests.acceptance.digits import TINY_TRAINING
from tests.fakes import primitives
from tests.samples import a_job, a_result, a_training, a_trial, an_attempt

OLD = datetime.now(UTC) - timedelta(days=200)
COUNT = 2000
ARCHIVE = "old.jsonl.gz"
PRUNE = ("control", "prune", "--older-than", "180d", "--archive", ARCHIVE)


def fill(machine: Machine) -> tuple[Store, set[str]]:
    """The machine's database, with many trainings that ended long ago; their ids."""
    store = open_store(read_settings({"MITORCH_HOME": str(machine.home), **machine.environment}), create=True)
    store.prepare()
    trainings = [_ended(number) for number in range(COUNT)]
    store.queue.add_trainings(trainings)
    return store, {training.id for training in trainings}


def _ended(number: int) -> Training:
    status = ENDED[number % len(ENDED)]
    return a_training(status=status, status_times={status.value: OLD}, config={**TINY_TRAINING, "note": "x" * 1500})


def archived(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt") as file:
        return [json.loads(line) for line in file]


def ids_in(store: Store) -> set[str]:
    return {
        one.row.id for status in ENDED for one in store.retention.ended_page(status, datetime.now(UTC), 10_000).items
    }


@pytest.mark.long
def test_killed_and_again(each_machine: Machine) -> None:
    store, everything = fill(each_machine)
    prune = each_machine.start(*PRUNE)
    archive = each_machine.folder / ARCHIVE
    until(lambda: archive.exists() and archive.stat().st_size, "a page is archived")
    time.sleep(0.05)  # anywhere in a page
    prune.kill()
    prune.communicate()
    left = ids_in(store)
    assert left
    assert {line["training"]["_id"] for line in archived(archive)} | left == everything

    each_machine.ok(*PRUNE)
    lines = [line["training"]["_id"] for line in archived(archive)]
    assert set(lines) == everything
    assert len(lines) == COUNT  # none twice
    assert not ids_in(store)
    store.close()


def test_a_running_service_is_not_disturbed(machine: Machine) -> None:
    store, everything = fill(machine)
    machine.write("long.json", {**TINY_TRAINING, "max_epochs": 6})
    running = machine.ok("submit", "long.json")
    service = machine.start("control", "run", "--every", "0.1")
    until(lambda: store.trainings.get_training(running).progress, "the training runs")
    machine.ok(*PRUNE)
    assert not ids_in(store) & everything
    until(lambda: store.trainings.get_training(running).status == "completed", "it is completed")
    assert [result.epoch for result in store.runs.curve(running).items] == list(range(1, 7))
    assert store.trainings.get_training(running).attempt == 1
    service.send_signal(signal.SIGINT)
    out, _ = service.communicate(timeout=30)
    assert "Error" not in out
    store.close()


def test_a_dry_run_changes_nothing_and_a_real_one_gives_the_space_back(machine: Machine) -> None:
    store = open_store(read_settings({"MITORCH_HOME": str(machine.home)}), create=True)
    job = a_job(status=JobStatus.COMPLETED, status_times={"completed": OLD})
    trials = []
    for number in range(2):
        trial = a_trial(job.id, number).trial
        assert trial is not None
        valued = trial.model_copy(update={"value": 1.0 + number})
        trials.append(_ended(0).model_copy(update={"job_id": job.id, "trial": valued}))
    single = a_training(status=ENDED[1], status_times={"failed": OLD}, attempt=1)
    single = single.model_copy(update={"attempts": [an_attempt(single)]})
    store.queue.add_trainings([*trials, single, *(_ended(number) for number in range(1000))])
    store.jobs.add_job(job)
    primitives(store).insert("training_results", [{"_id": f"{single.id}:000001", **a_result(1).to_document()}])
    weights = machine.home / "artifacts" / single.id / "model.pth"
    folder = machine.home / "runs" / run_name(single.id, 1)
    for path in (weights, folder / "log.txt"):
        path.parent.mkdir(parents=True)
        path.write_text("bytes")
    store.retention.compact(lambda: None)
    store.close()
    database = machine.home / "mitorch.db"
    before = database.read_bytes()

    arguments = ("control", "prune", "--older-than", "26w", "--keep-best")
    out = machine.ok(*arguments, "--dry-run")
    assert "1002 trainings and 0 jobs would be pruned (nothing was changed)\nkept: 1 best trial" in out
    assert database.read_bytes() == before
    assert weights.exists()
    assert not (machine.folder / ARCHIVE).exists()

    out = machine.ok(*arguments, "--delete")
    assert "1002 trainings and 0 jobs deleted\nkept: 1 best trial" in out
    assert re.search(r"database: [1-9]\.\d MB given back\n?$", out)
    assert database.stat().st_size < len(before) / 4
    assert not weights.parent.exists()
    assert not folder.exists()
    assert [row["_id"] for row in json.loads(machine.ok("query", "--json"))["trainings"]] == [trials[0].id]
    assert machine.query(job.id)["status"] == "completed"

    out = machine.ok("control", "prune", "--older-than", "26w", "--archive", ARCHIVE)
    assert f"1 training and 1 job moved to {ARCHIVE}" in out
    assert [next(iter(line)) for line in archived(machine.folder / ARCHIVE)] == ["training", "job"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--older-than", "180", "--delete"), "--older-than: 1 problem\n  180: write a whole number and h"),
        (("--older-than", "180d"), "Give --archive FILE"),
        (("--older-than", "180d", "--delete", "--archive", "x"), "Give --archive FILE"),
        (("--delete",), "Missing option '--older-than'"),
        (("--older-than", "180d", "--archive", "training.json"), "not a gzip file"),
    ],
)
def test_wrong_usage(machine: Machine, arguments: tuple[str, ...], told: str) -> None:
    answer = machine.run("control", "prune", *arguments)
    assert answer.code == 2
    assert told in answer.err
