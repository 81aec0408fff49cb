"""Trainings "on Azure": the real commands, the real SDK, an emulated service that really runs what is submitted."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest

from tests.acceptance.conftest import Machine, until
from tests.acceptance.digits import TINY_TRAINING, write_small_digits
from tests.azureml_emulator.client import COMPUTE, PASSWORD, WORKSPACE, Emulator, running
from tests.azureml_worker import CONNECTION
from tests.azurite_server import Azurite

CLUSTER = {**CONNECTION, "name": COMPUTE, "workspace": WORKSPACE, "price": 2.5, "low_priority": True, "gpus": 0}


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Emulator, Machine]]:
    """An emulator and a home folder for all tests here, with a data set."""
    folder = tmp_path_factory.mktemp("azure")
    with running(folder / "azure") as azure:
        azure.populate(max_nodes=8)
        environment = {**azure.environment(folder / "home"), "MITORCH_CLUSTERS": json.dumps([CLUSTER])}
        machine = Machine(folder / "home", environment)
        machine.ok("dataset", "register", write_small_digits(machine.folder / "digits"))
        yield azure, machine
        for run in azure.runs():
            azure.cancel(run["runId"])


@pytest.fixture
def azure(furnished: tuple[Emulator, Machine]) -> Iterator[Emulator]:
    yield furnished[0]
    furnished[0].faults.clear()
    furnished[0].configure(hold=False)


@pytest.fixture
def machine(furnished: tuple[Emulator, Machine]) -> Machine:
    return furnished[1]


def submit(machine: Machine, **changes: Any) -> str:
    """Queues a tiny training."""
    return machine.ok("submit", machine.write("training.json", {**TINY_TRAINING, **changes}))


def test_a_training_runs_on_azure_from_its_submission_to_its_result(azure: Emulator, machine: Machine) -> None:
    id = submit(machine)
    said = machine.ok("control")
    assert f"launched on {COMPUTE}" in said
    run = f"mt-{id}-a1"
    assert azure.wait(run, seconds=120) == "Completed", azure.log(run)
    found = machine.query(id)
    assert found["status"] == "completed", azure.log(run)
    assert "top1_accuracy" in found["evaluation"]
    assert found["attempts"][0]["cluster"] == COMPUTE
    assert found["attempts"][0]["url"].startswith("https://ml.azure.com/runs/")
    assert [epoch["epoch"] for epoch in found["curve"]] == [1, 2]
    metrics = azure.run(run)["metrics"]
    assert {"train_loss", "val_loss", "top1_accuracy", "learning_rate"} <= set(metrics)
    assert_no_secret(azure, machine, run, said)


def assert_no_secret(azure: Emulator, machine: Machine, run: str, said: str) -> None:
    """The address of the database stands for all that goes through the vault."""
    secret = f"sqlite:///{machine.home / 'mitorch.db'}"
    assert secret in azure.secrets().values()
    database = b"".join(path.read_bytes() for path in machine.home.glob("mitorch.db*"))
    logs = "".join(path.read_text() for path in (machine.home / "artifacts").rglob("log.txt"))
    for text in (said, azure.log(run), logs, database.decode("latin1")):
        assert secret not in text
        assert PASSWORD not in text
    for record in azure.traffic():
        kind, text = record["operation"].partition(".")[0], json.dumps(record)
        assert kind == "secret" or secret not in text, record["operation"]
        assert kind == "identity" or PASSWORD not in text, record["operation"]
    assert azure.refused() == []


def test_a_preempted_training_goes_back_to_the_queue_and_is_completed(azure: Emulator, machine: Machine) -> None:
    id = submit(machine, max_epochs=5)
    machine.ok("control")
    until(lambda: machine.query(id).get("progress"), "an epoch is there", 120)
    azure.preempt(f"mt-{id}-a1")
    assert azure.wait(f"mt-{id}-a1", seconds=120) == "Failed"  # started a second time, it says that it is lost
    assert azure.run(f"mt-{id}-a1")["starts"] == 2
    assert "taken away" in azure.log(f"mt-{id}-a1")
    said = machine.ok("control")
    assert "attempt 1 lost" in said
    assert "it will be tried again" in said
    machine.ok("control")
    assert azure.wait(f"mt-{id}-a2", seconds=240) == "Completed", azure.log(f"mt-{id}-a2")
    found = machine.query(id)
    assert found["status"] == "completed"
    assert [attempt["outcome"] for attempt in found["attempts"]] == ["lost", "completed"]
    assert [epoch["epoch"] for epoch in found["curve"]] == list(range(1, 6))


def test_a_training_that_fails_is_not_tried_again(azure: Emulator, machine: Machine) -> None:
    digits = machine.folder / "digits"
    files = {"path": str(digits / "train.txt")}, {"path": str(digits / "val.txt")}
    broken = [{"name": "gone", "version": 1, "train": files[0], "val": files[1]}]
    kept = (digits / "val.txt").read_text()
    machine.ok("dataset", "register", machine.write("gone.json", broken))
    id = submit(machine, dataset="gone")
    (digits / "val.txt").unlink()
    try:
        machine.ok("control")
        assert azure.wait(f"mt-{id}-a1", seconds=120) == "Failed"
    finally:
        (digits / "val.txt").write_text(kept)
    found = machine.query(id)
    assert found["status"] == "failed"
    assert "gone:1 val" in found["error"]["message"]
    assert machine.ok("control") == "nothing to do"


def test_running_trainings_are_canceled_by_command_and_in_the_studio(azure: Emulator, machine: Machine) -> None:
    azure.configure(kill_grace=60.0)
    ids = [submit(machine, max_epochs=10_000) for _ in range(2)]
    machine.ok("control")
    for id in ids:
        until(lambda id=id: machine.query(id).get("progress"), "an epoch is there", 120)  # type: ignore[misc]
    machine.ok("control", "cancel", ids[0])
    azure.cancel(f"mt-{ids[1]}-a1")
    for id in ids:
        assert azure.wait(f"mt-{id}-a1", seconds=100) in ("Canceled", "Completed")
        assert machine.query(id)["status"] == "canceled", azure.log(f"mt-{id}-a1")


def test_overlapping_passes_launch_each_training_once(azure: Emulator, machine: Machine) -> None:
    azure.configure(hold=True)
    ids = [submit(machine) for _ in range(4)]
    passes: list[subprocess.Popen[str]] = [machine.start("control") for _ in range(3)]
    for process in passes:
        assert "Error" not in process.communicate(timeout=120)[0]
    created = [r["path"] for r in azure.traffic() if r["operation"] == "submit" and r["status"] == 200]
    assert [sum(f"runId=mt-{id}-a" in path for path in created) for id in ids] == [1, 1, 1, 1]
    for id in ids:
        machine.ok("control", "cancel", id)


def test_a_training_that_azure_refuses_goes_back_and_why_tells_it(azure: Emulator, machine: Machine) -> None:
    azure.configure(hold=True)
    words = {"error": {"code": "Forbidden", "message": "no permission to run jobs"}}
    azure.faults.status(403, words, operation="submit", count=None)
    id, other = submit(machine), submit(machine)
    told = machine.run("control")
    assert "no permission to run jobs" in told.out + told.err
    assert told.out.count("attempt 1 refused") == 2
    found = machine.query(id)
    assert (found["status"], found["attempts"][0]["outcome"]) == ("new", "refused")
    assert "submitted_at" not in {name for name, value in found["attempts"][0].items() if value is not None}
    assert "attempt" not in machine.ok("control")  # the cluster rests
    why = machine.ok("query", id, "--why")
    assert "its attempt 1 ended: Cluster cpu: no permission to run jobs" in why
    flat = " ".join(re.sub(r"[│|]", " ", why).split())
    assert "has refused it" in flat
    assert "role AzureML Data Scientist" in flat
    assert "no permission to run jobs" in machine.run("control", "status", "--json").json["clusters"]["cpu"]["refusal"]
    assert "has refused training" in machine.ok("control", "status")
    azure.faults.clear()
    machine.ok("control", "cancel", other)
    machine.ok("control", "cancel", id)
    assert machine.run("control", "status", "--json").json["clusters"]["cpu"]["refusal"] is None
    machine.ok("control", "retry", id)  # whoever has repaired it need not wait
    assert f"launched on {COMPUTE} (attempt 2)" in machine.ok("control")
    assert [run["runId"] for run in azure.runs() if id in run["runId"]] == [f"mt-{id}-a2"]
    machine.ok("control", "cancel", id)


def test_a_training_that_stores_in_blobs_shows_its_token_nowhere(
    azure: Emulator, machine: Machine, azurite: Azurite
) -> None:
    container = azurite.new_container()
    sas = azurite.sas(container.container_name)
    signature = sas.partition("sig=")[2]
    stores = {"MITORCH_STORAGE_URL": f"{azurite.url(container.container_name)}?{sas}"}
    other = Machine(machine.folder, {**machine.environment, **stores})
    id = submit(other)
    said = [other.ok("control")]
    assert azure.wait(f"mt-{id}-a1", seconds=240) == "Completed", azure.log(f"mt-{id}-a1")
    found = other.query(id)
    assert found["status"] == "completed", azure.log(f"mt-{id}-a1")
    blobs = {blob.name: container.download_blob(blob.name).readall() for blob in container.list_blobs(f"{id}/")}
    assert f"{id}/model.pth" in blobs
    assert any(name.endswith("/log.txt") for name in blobs)
    said += [json.dumps(found), other.ok("query", id), other.ok("control", "logs", id), azure.log(f"mt-{id}-a1")]
    database = b"".join(path.read_bytes() for path in other.home.glob("mitorch.db*"))
    texts = {*said, *(content.decode("latin1") for content in (database, *blobs.values()))}
    traffic = {json.dumps(r) for r in azure.traffic() if not r["operation"].startswith("secret")}
    for secret in (signature, unquote(signature), PASSWORD):
        assert not [text for text in texts if secret in text]
    assert not [text for text in traffic if signature in text or unquote(signature) in text]
    assert any(signature in value for value in azure.secrets().values())  # where the run has it from
