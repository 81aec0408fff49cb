"""Datastores and the registry of models of a workspace: the real commands and SDK against an emulated service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mitorch_service.models.search.job import BestTrial, refit_id
from mitorch_service.models.status import JobStatus, TrainingStatus
from mitorch_service.models.training import Refit, Training
from mitorch_service.settings import read_settings
from mitorch_service.wiring import open_store
from tests.acceptance.conftest import Machine
from tests.acceptance.digits import TINY_TRAINING, write_small_digits
from tests.azureml_emulator.account import Storage, part, storage_of
from tests.azureml_emulator.client import (
    COMPUTE,
    PASSWORD,
    WORKSPACE,
    Emulator,
    running,
)
from tests.azureml_worker import CONNECTION
from tests.fakes import primitives
from tests.samples import a_job, a_training, a_trial, an_attempt
from tests.warm.command import warm_runs

CLUSTER = {**CONNECTION, "name": COMPUTE, "workspace": WORKSPACE, "gpus": 0}
OTHER = {**CLUSTER, "name": "elsewhere", "workspace": "other"}
EVALUATION = {"val_loss": 0.25, "top1_accuracy": 0.9876543}


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running(tmp_path_factory.mktemp("azure")) as azure:
        azure.populate()
        azure.add_workspace("other")
        azure.configure(warm_runs=warm_runs())
        yield azure


@pytest.fixture(scope="module")
def storage(azure: Emulator) -> Iterator[Storage]:
    with storage_of(azure) as storage:
        yield storage


@pytest.fixture
def machine(azure: Emulator, tmp_path: Path) -> Iterator[Machine]:
    environment = azure.environment(tmp_path / "home")
    yield Machine(tmp_path / "home", {**environment, "MITORCH_CLUSTERS": json.dumps([CLUSTER])})
    azure.faults.clear()


def test_a_data_set_from_a_datastore_is_trained_on_and_its_model_registered(
    azure: Emulator, storage: Storage, machine: Machine
) -> None:
    write_small_digits(machine.folder / "digits")
    storage.write(machine.folder / "digits")
    machine.environment["DIGITS_SAS"] = storage.sas
    arguments = ("datastore", "register", "digits", "--container", storage.container, "--sas-from", "DIGITS_SAS")
    assert machine.ok("dataset", *arguments) == f"registered digits: {storage.container}"
    assert storage.container in machine.ok("dataset", "datastore", "list")
    definition = {
        "name": "digits",
        "version": 1,
        "train": part(
            "digits/digits/train.txt", "datastores/digits/paths/digits/labels.txt", "digits/digits/images.zip"
        ),
        "val": part("digits/digits/val.txt", "digits/digits/labels.txt", "digits/digits/images.zip"),
    }
    machine.ok("dataset", "register", machine.write("definition.json", [definition]))
    assert f"{storage.container}/digits/train.txt" in machine.ok("dataset", "show", "digits")
    id = machine.ok("submit", machine.write("training.json", TINY_TRAINING))
    machine.ok("control")
    assert azure.wait(f"mt-{id}-a1", seconds=120) == "Completed", azure.log(f"mt-{id}-a1")
    said = machine.ok("control", "register-model", id[:8], "--name", "digits-model")
    assert said == f"registered: digits-model, version 1, of training {id}"
    model = azure.assets()["models"]["digits-model:1"]
    tags, lines = model["kvTags"], (machine.folder / "digits" / "train.txt").read_text().splitlines()
    assert (tags["training"], tags["dataset"], tags["train_images"]) == (id, "digits:1", str(len(lines)))
    assert {"steps", "epochs", "model", "base_model", "val_loss", "top1_accuracy", "val_images"} <= set(tags)
    assert json.loads(model["properties"]["config"])["max_epochs"] == TINY_TRAINING["max_epochs"]
    stored = (machine.home / "artifacts" / id / "model.pth").read_bytes()
    assert any(path.read_bytes() == stored for path in (azure.folder / "blobs").rglob("*") if path.is_file())
    assert_no_token(storage, machine, said, machine.ok("dataset", "show", "digits", "--json"))


def assert_no_token(storage: Storage, machine: Machine, *said: str) -> None:
    """Nothing that is shown holds the signature of the SAS token, or the password."""
    signature = storage.sas.partition("sig=")[2]
    for text in said:
        assert signature not in text
        assert PASSWORD not in text


def test_a_datastore_is_renewed_and_never_moved(azure: Emulator, machine: Machine) -> None:
    def register(container: str, **environment: str) -> Any:
        words = ["dataset", "datastore", "register", "pictures", "--container", container]
        return machine.run(*words, *(["--sas-from", "SAS"] if environment else []), **environment)

    url = "https://acct.blob.core.windows.net/pictures"
    assert register(url).code == 0
    assert register(url, SAS="?sv=1&sp=rl&sig=s1gnature").code == 0
    section = azure.assets()["datastores"]["pictures"]["azureStorageSection"]
    assert (section["accountName"], section["credential"]) == ("acct", "sv=1&sp=rl&sig=s1gnature")
    moved = register("https://acct.blob.core.windows.net/others")
    assert (moved.code, f"the datastore pictures is {url}" in moved.err) == (1, True)
    told = register(f"{url}?sv=1&sig=s1gnature")
    assert (told.code, "s1gnature" in told.err, "name an environment variable" in told.err) == (2, False, True)
    ended = register(url, SAS="sv=1&se=2020-01-01T00:00:00Z&sig=s1gnature")
    assert (ended.code, "expired on 2020-01-01" in ended.err, "s1gnature" in ended.err) == (2, True, False)
    assert machine.run(*["dataset", "datastore", "register", "x", "--container", url, "--sas-from", "NONE"]).code == 2
    assert machine.run("dataset", "datastore", "list", "--json").json[-1] == {"name": "pictures", "container": url}


def test_a_datastore_that_is_not_there_is_told_with_the_nearest(azure: Emulator, machine: Machine) -> None:
    machine.ok("dataset", "datastore", "register", "animals", "--container", "https://a.blob.core.windows.net/c")
    split = part("animal/train.txt")
    wrong = {"name": "zoo", "version": 1, "train": split, "val": part("animals")}
    answer = machine.run("dataset", "register", machine.write("zoo.json", [wrong]))
    assert answer.code == 2
    assert "[0].train.path: Cluster cpu: the workspace workspace has no datastore 'animal'" in answer.err
    assert "Did you mean 'animals'?" in answer.err
    assert "[0].val.path: azureml://animals names no file" in answer.err


def test_the_best_trial_of_a_job_is_registered_once(azure: Emulator, machine: Machine) -> None:
    job, trial = furnish(machine, b"the weights")
    first = machine.run("control", "register-model", job, "--name", "winner", "--json")
    assert first.json == {"name": "winner", "version": 1, "new": True, "training": trial.id}
    assert "no image and step counts" in first.err  # the data set is not registered here
    again = machine.ok("control", "register-model", trial.id, "--name", "winner")
    assert again == f"registered already: winner, version 1, of training {trial.id}"
    model = azure.assets()["models"]["winner:1"]
    assert (
        model["kvTags"].items() >= {"job": job, "trial": "2", "val_loss": "0.25", "top1_accuracy": "0.987654"}.items()
    )
    assert model["kvTags"]["dataset"] == "digits:1"
    assert json.loads(model["properties"]["parameters"]) == {"lr": 0.1}
    assert model["description"] == "test_resnet on digits:1"
    (machine.home / "artifacts" / trial.id / "model.pth").write_bytes(b"other weights")
    assert "registered: winner, version 2" in machine.ok("control", "register-model", job, "--name", "winner")


def test_the_final_training_of_a_job_is_what_is_registered(azure: Emulator, machine: Machine) -> None:
    job, trial = furnish(machine, b"the weights of the search")
    store = open_store(read_settings(machine.environment | {"MITORCH_HOME": str(machine.home)}), create=True)
    refit = Refit(job_id=job, number=2, parameters={"lr": 0.1})
    same = {**trial.to_document(), "_id": refit_id(job), "job_id": None, "trial": None, "refit": refit.to_document()}
    primitives(store).insert("trainings", [same])
    store.studies.change_study(job, {}, {"best.refit": refit_id(job)})
    folder = machine.home / "artifacts" / refit_id(job)
    folder.mkdir(parents=True)
    (folder / "model.pth").write_bytes(b"the final weights")
    first = machine.run("control", "register-model", job, "--name", "final", "--json")
    assert first.json == {"name": "final", "version": 1, "new": True, "training": refit_id(job)}
    model = azure.assets()["models"]["final:1"]
    assert model["kvTags"].items() >= {"job": job, "trial": "2", "val_loss": "0.25"}.items()
    assert json.loads(model["properties"]["parameters"]) == {"lr": 0.1}


def test_a_lost_answer_leaves_one_version(azure: Emulator, machine: Machine) -> None:
    job, _ = furnish(machine, b"the weights")
    fault = azure.faults.drop_after(operation="model.register", count=None)
    assert "registered: lost, version 1" in machine.ok("control", "register-model", job, "--name", "lost")
    assert azure.faults.hits(fault) > 1  # the SDK has repeated it, and each call has made a version
    assert [name for name in azure.assets()["models"] if name.startswith("lost:")] == ["lost:1"]


def test_what_has_no_model_is_refused(azure: Emulator, machine: Machine) -> None:
    job, trial = furnish(machine, b"the weights")
    store = open_store(read_settings(machine.environment | {"MITORCH_HOME": str(machine.home)}), create=True)
    store.queue.add_trainings([running_one := a_training()])
    store.jobs.add_job(empty := a_job())
    for id, words in ((running_one.id, "Only a completed training"), (empty.id, "best trial")):
        answer = machine.run("control", "register-model", id, "--name", "none")
        assert (answer.code, words in answer.err) == (1, True)
    machine.environment["MITORCH_CLUSTERS"] = json.dumps([{**CLUSTER, "name": "first"}, OTHER])
    several = machine.run("control", "register-model", job, "--name", "some")
    assert (several.code, "name one of first, elsewhere" in several.err) == (2, True)
    wrong = machine.run("control", "register-model", job, "--name", "some", "--cluster", "elsewere")
    assert (wrong.code, "did you mean 'elsewhere'?" in wrong.err) == (2, True)
    bad = machine.run("control", "register-model", job, "--name", "a b")
    assert (bad.code, "must be 1 to 255 letters" in bad.err) == (2, True)
    machine.ok("control", "register-model", job, "--name", "some", "--cluster", "elsewhere")
    assert "some:1" in azure.assets("other")["models"]
    (machine.home / "artifacts" / trial.id / "model.pth").unlink()
    gone = machine.run("control", "register-model", job, "--name", "gone", "--cluster", "first")
    assert (gone.code, "model.pth" in gone.err) == (1, True)


def furnish(machine: Machine, weights: bytes) -> tuple[str, Training]:
    """A job whose third trial has won, with its weights."""
    job = a_job(status=JobStatus.RUNNING)
    trial = a_trial(job.id, 2, status=TrainingStatus.COMPLETED, evaluation=EVALUATION)
    trial = trial.model_copy(update={"attempts": [an_attempt(trial, cluster=COMPUTE)], "attempt": 1})
    best = BestTrial(training_id=trial.id, number=2, value=0.9876543, parameters={"lr": 0.1})
    store = open_store(read_settings(machine.environment | {"MITORCH_HOME": str(machine.home)}), create=True)
    store.prepare()
    store.jobs.add_job(job.model_copy(update={"best": best}))
    store.queue.add_trainings([trial])
    folder = machine.home / "artifacts" / trial.id
    folder.mkdir(parents=True)
    (folder / "model.pth").write_bytes(weights)
    return job.id, trial
