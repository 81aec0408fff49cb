"""Data sets of a workspace become ours by either SDK, run as docs/azureml_datasets.md says, against the emulator."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO

import pytest
from PIL import Image

from tests.acceptance.conftest import Machine
from tests.azureml_emulator.account import Storage, storage_of
from tests.azureml_emulator.client import (
    COMPUTE,
    GROUP,
    PASSWORD,
    PRINCIPAL,
    SUBSCRIPTION,
    TENANT,
    WORKSPACE,
    Emulator,
    running,
)
from tests.documents import ROOT, block
from tests.warm.command import with_warm_code

PAGE = "docs/azureml_datasets.md"
READ = "transformations:\n  - read_delimited:\n      delimiter: ','\n      encoding: utf8\n"
ENGINE = """
other = mitorch_service.perform_run("boxes", {"model": "fasterrcnn_resnet50_fpn", "task_type": "object_detection"},
    mitorch_service.create_args([("sea_labels", "sea_images")], params={"batch_size": 2}), compute="cpu",
    datastore_name="main_datastore", min_confidence=0.5, max_epochs=1)
other.client.cancel(other.id)
print(run.id, other.id)
"""
BOX = {"bottomX": 2, "topX": 12.5, "bottomY": 3, "topY": 20}


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running(tmp_path_factory.mktemp("azure")) as azure:
        azure.populate()
        yield azure


@pytest.fixture(scope="module")
def storage(azure: Emulator) -> Iterator[Storage]:
    with storage_of(azure) as storage:
        yield storage


@pytest.fixture
def team(bare_machine: Machine, azure: Emulator, storage: Storage) -> Machine:
    """A team with the sets of a finished campaign."""
    rows = []
    for number in range(12):
        pixels = BytesIO()
        Image.new("RGB", (32, 24), (20 * number, 60, 90)).save(pixels, "PNG")
        storage.put(f"imagesets/sea/{number}.png", pixels.getvalue())
        objects = [{"type": "bottle", **BOX}, {"label": "bag", **BOX}]
        prefix = "main_datastore/" if number % 2 else ""
        rows.append(f'{prefix}imagesets/sea/{number}.png,"{objects}","[0.9, 0.4]"\n')
    storage.put("label_sets/sea.csv", ("image_url,label,label_confidence\n" + "".join(rows)).encode())
    bare_machine.environment |= azure.environment(bare_machine.folder)
    cluster = {"name": COMPUTE, "kind": "azureml", "subscription_id": SUBSCRIPTION, "workspace": WORKSPACE}
    auth = {"auth": f"{TENANT}:{PRINCIPAL}:{PASSWORD}", "resource_group": GROUP}
    bare_machine.environment["MITORCH_CLUSTERS"] = json.dumps([cluster | auth])
    bare_machine.environment["DATA_SAS"] = storage.sas
    bare_machine.ok(
        "dataset", "datastore", "register", "main", "--container", storage.container, "--sas-from", "DATA_SAS"
    )
    return bare_machine


def register(storage: Storage, sdk: str) -> None:
    """The workspace's own program registers them."""
    if sdk == "v1":
        storage.register_data_set("sea_images", "file", "main/paths/imagesets/sea/**")
        storage.register_data_set("sea_labels", "tabular", "main/paths/label_sets/sea.csv", READ)
        return
    storage.put("label_sets/table/MLTable", f"type: mltable\npaths:\n  - file: ../sea.csv\n{READ}".encode())
    storage.register_data_asset("sea_images", "uri_folder", "main/paths/imagesets/sea/")
    storage.register_data_asset("sea_labels", "mltable", "main/paths/label_sets/table/")


@pytest.mark.parametrize("sdk", [pytest.param("v1", marks=pytest.mark.long), "v2"])
def test_the_commands_of_the_document(team: Machine, storage: Storage, sdk: str) -> None:
    register(storage, sdk)
    clusters = json.loads(team.environment["MITORCH_CLUSTERS"])
    team.environment["MITORCH_CLUSTERS"] = json.dumps([{**clusters[0], "sdk": sdk}])
    first, *rest = block(PAGE, "midataset register --azureml-images").splitlines()
    answer = team.run("dataset", *shlex.split(first)[1:])
    assert answer.code == 0, answer
    assert answer.out == "registered sea:1\n"
    assert "10 train, 2 val" in answer.err
    assert "sea_labels: 12 objects below the confidence 0.5 left out" in answer.err
    (table,) = (name for name in storage.names() if name.endswith("/train.csv"))
    lines = storage.get(table).decode().splitlines()
    assert lines[:2] == ["image,x1,y1,x2,y2,class", "../../../imagesets/sea/1.png,2.0,3.0,12.5,20.0,bottle"]
    again = team.run("dataset", *shlex.split(first)[1:])
    assert again.out == "is registered already as sea:1\n"
    if sdk == "v1":
        for line in rest:
            team.ok("dataset", *shlex.split(line)[1:])
        tell_what_is_missing(team, storage)


@pytest.mark.long
def test_a_script_on_pairs_of_sets(team: Machine, storage: Storage) -> None:
    register(storage, "v2")
    clusters = json.loads(team.environment["MITORCH_CLUSTERS"])
    team.environment["MITORCH_CLUSTERS"] = json.dumps([{"name": "local", "slots": 1}, *clusters])
    before, _, after = block(PAGE, "import mitorch_service").partition("print(run.wait()")
    asked = before.replace("scripts/samples", str(ROOT / "scripts" / "samples")) + ENGINE
    id, other = python(team, asked).split()
    team.ok("control", "run", "--until-idle", "--every", "0.1")
    shown = team.query(id)
    assert (shown["status"], shown["dataset"]["name"]) == ("completed", "sea_images.sets"), team.run(
        "control", "logs", id
    )
    assert len(shown["curve"]) == 3
    rest = before.replace("scripts/samples", str(ROOT / "scripts" / "samples")).partition("run = ")[0]
    run = "from mitorch_service.client.azureml_runs import PerformedRun, Client, read_settings\n"
    run += f"run = PerformedRun({id!r}, Client(), read_settings())\n"
    queued = team.query(other)
    assert (queued["dataset"]["name"], queued["tags"]) == ("sea", ["experiment=boxes"])
    assert "completed {'accuracy': 0.5}" in python(team, rest + run + "print(run.wait()" + after)


def python(machine: Machine, code: str) -> str:
    """Runs a block."""
    paths = [machine.environment["PYTHONPATH"], str(ROOT)]
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=machine.folder,
        env=with_warm_code({**machine.environment, "PYTHONPATH": os.pathsep.join(paths)}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def tell_what_is_missing(team: Machine, storage: Storage) -> None:
    """Sets, versions and images that are not there are named, and nothing is registered."""
    before = team.ok("dataset", "list", "--json")
    missing = team.run("dataset", "register", "--azureml-images", "see_images", "--azureml-labels", "sea_labels")
    assert (missing.code, "the workspace workspace has no data set 'see_images'" in missing.err) == (1, True)
    old = team.run("dataset", "register", "--azureml-images", "sea_images:7", "--azureml-labels", "sea_labels")
    assert "no data set 'sea_images' with the version 7" in old.err
    storage.put("label_sets/sea.csv", b"image_url,label\nimagesets/sea/99.png,[]\n")
    lost = team.run("dataset", "register", "--azureml-images", "sea_images", "--azureml-labels", "sea_labels")
    assert (lost.code, "1 image of 1 not in sea_images (main/imagesets/sea): imagesets/sea/99.png" in lost.err) == (
        2,
        True,
    )
    assert team.ok("dataset", "list", "--json") == before
