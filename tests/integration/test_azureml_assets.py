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
    GROUP,
    PASSWORD,
    SUBSCRIPTION,
    WORKSPACE,
    Emulator,
    running,
)
from tests.azureml_worker import CONNECTION
from tests.exp_configs import EXP_CONFIG, write_use_case
from tests.fakes import primitives
from tests.samples import a_job, a_training, a_trial, an_attempt
from tests.warm.command import warm_runs

SDKS = ("v1", "v2")
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
def sdk(request: pytest.FixtureRequest) -> str:
    """The SDK of the cluster: the default, unless a test runs with both."""
    return str(getattr(request, "param", "v2"))


@pytest.fixture
def machine(azure: Emulator, tmp_path: Path, sdk: str) -> Iterator[Machine]:
    environment = azure.environment(tmp_path / "home")
    yield Machine(tmp_path / "home", {**environment, "MITORCH_CLUSTERS": json.dumps([{**CLUSTER, "sdk": sdk}])})
    azure.faults.clear()


def model(azure: Emulator, name: str, workspace: str = WORKSPACE) -> dict[str, Any]:
    """Tags, properties and description of the first version of a model, whichever SDK has registered it."""
    assets = azure.assets(workspace)
    if name in assets.get("v2/models", {}):
        found: dict[str, Any] = assets["v2/models"][name]["1"]["properties"]
        return found
    first = assets["models"][f"{name}:1"]
    return {"tags": first["kvTags"], "properties": first["properties"], "description": first["description"]}


def _model_files(azure: Emulator) -> Iterator[Path]:
    """The blobs that are files of PyTorch."""
    for path in (azure.folder / "blobs").rglob("*"):
        if path.is_file() and (blob := path.read_bytes())[:2] == b"PK" and b"/data.pkl" in blob:
            yield path


def versions(azure: Emulator, name: str) -> list[str]:
    """The versions of a model."""
    assets = azure.assets()
    first = [one.partition(":")[2] for one in assets.get("models", {}) if one.startswith(f"{name}:")]
    return first or list(assets.get("v2/models", {}).get(name, {}))


@pytest.mark.parametrize("sdk", ["v2", pytest.param("v1", marks=pytest.mark.long)], indirect=True)
@pytest.mark.long
def test_a_data_set_from_a_datastore_is_trained_on_and_its_model_registered(
    azure: Emulator, storage: Storage, machine: Machine, sdk: str
) -> None:
    before, name = set(_model_files(azure)), f"digits-{sdk}"
    write_small_digits(machine.folder / "digits")
    storage.write(machine.folder / "digits")
    del machine.environment["MITORCH_STORAGE_URL"]  # its model goes to the workspace's own container
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
    said = machine.ok("control", "register-model", id[:8], "--name", name)
    assert said == f"registered: {name}, version 1, of training {id}"
    registered = model(azure, name)
    tags, lines = registered["tags"], (machine.folder / "digits" / "train.txt").read_text().splitlines()
    assert (tags["training"], tags["dataset"], tags["train_images"]) == (id, "digits:1", str(len(lines)))
    assert {"steps", "epochs", "model", "base_model", "val_loss", "top1_accuracy", "val_images"} <= set(tags)
    assert json.loads(registered["properties"]["config"])["max_epochs"] == TINY_TRAINING["max_epochs"]
    assert f"blob.core.windows.net/azureml-blobstore/mitorch-artifacts/{id}/model.pth" in machine.ok("query", id)
    settings = read_settings({**machine.environment, "MITORCH_HOME": str(machine.home)})
    assert len(kept := (machine.home / "cache" / "workspace_storage.json").read_text()) > 0
    assert "mitorch-artifacts?" in kept and settings.storage_cluster is not None
    models = [path.read_bytes() for path in _model_files(azure) if path not in before]
    assert len(models) == 2 and models[0] == models[1]  # the run's, and the registry's
    assert not (machine.home / "artifacts").exists()
    assert_no_token(storage, machine, said, machine.ok("dataset", "show", "digits", "--json"))


@pytest.mark.long
def test_exp_config_finds_its_versions_and_gets_its_compute_experiment_and_image(
    azure: Emulator, storage: Storage, machine: Machine
) -> None:
    """Only what the file names is new: the rest is the cluster's."""
    write_use_case(machine.folder / "store", "200101000000", "210101000000")
    storage.write(machine.folder / "store" / "pothole")
    machine.environment["STORE_SAS"] = storage.sas
    machine.ok("dataset", "datastore", "register", "holes", "--container", storage.container, "--sas-from", "STORE_SAS")
    given = {**EXP_CONFIG, "DATA_MOUNT": "holes"}
    machine.write("exp_config.json", given)
    ours = {"AML_SUBSCRIPTION_ID": SUBSCRIPTION, "AML_RESOURCE_GROUP": GROUP, "AML_WORKSPACE_NAME": WORKSPACE}
    machine.write("dev_config.json", ours)
    azure.configure(hold=True)
    submitted = machine.run("submit", "exp_config.json")
    assert submitted.code == 0, submitted
    assert "exp_config.json: train set train_pothole_210101000000.csv" in submitted.err
    assert "exp_config.json: the compute test is being created: up to 3 of Standard_NC4as_T4_v3" in submitted.err
    assert azure.compute("test")["max_nodes"] == 3
    shown = machine.ok("dataset", "show", "pothole")
    assert f"{storage.container}/pothole/datasets/test_pothole_210101000000.csv" in shown
    assert f"{storage.container}/pothole/images/" in shown
    id = submitted.out.strip()
    assert "the compute test is being created. The next pass tries again." in machine.run("control").err
    azure.add_compute("test", state="Succeeded")
    assert "launched on cpu" in machine.ok("control")
    run = azure.run(f"mt-{id}-a1")
    assert run["target"] == "test"
    assert run["definition"]["Configuration"]["experimentName"] == "pothole"
    assert any(given["DOCKER_IMAGE"] in one["request_body"] for one in azure.traffic())
    assert machine.ok("control") == "nothing to do"  # a run in an experiment of its own is found by its name
    again = machine.run("submit", "exp_config.json")
    assert "exp_config.json: is registered already as pothole:1" in again.err
    assert "is being created" not in again.err
    machine.ok("control", "cancel", id, again.out.strip())
    machine.write("exp_config.json", {**given, "DATA_MOUNT": "hole"})
    assert "Did you mean 'holes'?" in machine.run("submit", "exp_config.json").err
    assert_no_token(storage, machine, submitted.err, again.err, shown)
    azure.configure(hold=False)


def assert_no_token(storage: Storage, machine: Machine, *said: str) -> None:
    """Nothing that is shown holds the signature of the SAS token, or the password."""
    signature = storage.sas.partition("sig=")[2]
    for text in said:
        assert signature not in text
        assert PASSWORD not in text


@pytest.mark.parametrize("sdk", SDKS, indirect=True)
def test_a_datastore_is_renewed_and_never_moved(azure: Emulator, machine: Machine) -> None:
    def register(container: str, **environment: str) -> Any:
        words = ["dataset", "datastore", "register", "pictures", "--container", container]
        return machine.run(*words, *(["--sas-from", "SAS"] if environment else []), **environment)

    url = "https://acct.blob.core.windows.net/pictures"
    assert register(url).code == 0
    assert register(url, SAS="?sv=1&sp=rl&sig=s1gnature").code == 0
    known = azure.assets()
    if "pictures" in known.get("v2/datastores", {}):
        fields = known["v2/datastores"]["pictures"]["properties"]
        account, credential = fields["accountName"], fields["credentials"]["secrets"]["sasToken"]
    else:
        section = known["datastores"]["pictures"]["azureStorageSection"]
        account, credential = section["accountName"], section["credential"]
    assert (account, credential) == ("acct", "sv=1&sp=rl&sig=s1gnature")
    moved = register("https://acct.blob.core.windows.net/others")
    assert (moved.code, f"the datastore pictures is {url}" in moved.err) == (1, True)
    told = register(f"{url}?sv=1&sig=s1gnature")
    assert (told.code, "s1gnature" in told.err, "name an environment variable" in told.err) == (2, False, True)
    ended = register(url, SAS="sv=1&se=2020-01-01T00:00:00Z&sig=s1gnature")
    assert (ended.code, "expired on 2020-01-01" in ended.err, "s1gnature" in ended.err) == (2, True, False)
    assert machine.run(*["dataset", "datastore", "register", "x", "--container", url, "--sas-from", "NONE"]).code == 2
    assert {"name": "pictures", "container": url} in machine.run("dataset", "datastore", "list", "--json").json


def test_a_datastore_that_is_not_there_is_told_with_the_nearest(azure: Emulator, machine: Machine) -> None:
    machine.ok("dataset", "datastore", "register", "animals", "--container", "https://a.blob.core.windows.net/c")
    split = part("animal/train.txt")
    wrong = {"name": "zoo", "version": 1, "train": split, "val": part("animals")}
    answer = machine.run("dataset", "register", machine.write("zoo.json", [wrong]))
    assert answer.code == 2
    assert "[0].train.path: Cluster cpu: the workspace workspace has no datastore 'animal'" in answer.err
    assert "Did you mean 'animals'?" in answer.err
    assert "[0].val.path: azureml://animals names no file" in answer.err


@pytest.mark.parametrize("sdk", SDKS, indirect=True)
def test_the_best_trial_of_a_job_is_registered_once(azure: Emulator, machine: Machine, sdk: str) -> None:
    job, trial = furnish(machine, b"the weights")
    name = f"winner-{sdk}"
    first = machine.run("control", "register-model", job, "--name", name, "--json")
    assert first.json == {"name": name, "version": 1, "new": True, "training": trial.id}
    assert "no image and step counts" in first.err  # the data set is not registered here
    again = machine.ok("control", "register-model", trial.id, "--name", name)
    assert again == f"registered already: {name}, version 1, of training {trial.id}"
    found = model(azure, name)
    wanted = {"job": job, "trial": "2", "val_loss": "0.25", "top1_accuracy": "0.987654", "dataset": "digits:1"}
    assert found["tags"].items() >= wanted.items()
    assert json.loads(found["properties"]["parameters"]) == {"lr": 0.1}
    assert found["description"] == "test_resnet on digits:1"
    (machine.home / "artifacts" / trial.id / "model.pth").write_bytes(b"other weights")
    assert f"registered: {name}, version 2" in machine.ok("control", "register-model", job, "--name", name)


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
    found = model(azure, "final")
    assert found["tags"].items() >= {"job": job, "trial": "2", "val_loss": "0.25"}.items()
    assert json.loads(found["properties"]["parameters"]) == {"lr": 0.1}


@pytest.mark.parametrize(("sdk", "operation"), [("v1", "model.register"), ("v2", "version.create")], indirect=["sdk"])
def test_a_lost_answer_leaves_one_version(azure: Emulator, machine: Machine, sdk: str, operation: str) -> None:
    job, _ = furnish(machine, b"the weights")
    name = f"lost-{sdk}"
    fault = azure.faults.drop_after(operation=operation, count=None if sdk == "v1" else 1)
    assert f"registered: {name}, version 1" in machine.ok("control", "register-model", job, "--name", name)
    assert azure.faults.hits(fault) >= 1  # of azureml-core each repeated call has made a version
    assert versions(azure, name) == ["1"]


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
    assert model(azure, "some", "other")["tags"]["job"] == job
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
