"""The page on Azure, run as a reader would: its commands meet an emulated Azure, Azurite, and an `az` that
only writes down what it is asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pymongo
import pytest

from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster
from mitorch_service.settings import read_settings
from tests.acceptance.conftest import Machine
from tests.acceptance.digits import TINY_TRAINING, write_small_digits
from tests.azureml_emulator.account import Storage, part, storage_of
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
from tests.azurite_server import Azurite
from tests.documents import ROOT, block

PAGE = "docs/azure.md"
FAKE_AZ = """#!{python}
import json, pathlib, sys
with pathlib.Path({calls!r}).open("a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
if "--query" in sys.argv:
    print("the-answer")
"""


@pytest.fixture
def reader(bare_machine: Machine) -> Machine:
    """Somebody with an Azure CLI."""
    az = bare_machine.folder / "bin" / "az"
    az.parent.mkdir()
    calls = str(bare_machine.folder / "calls.jsonl")
    az.write_text(FAKE_AZ.format(python=sys.executable, calls=calls))
    az.chmod(0o755)
    return bare_machine


def shell(machine: Machine, script: str, given: str = "") -> str:
    """Runs a block in the reader's folder; returns what it printed."""
    path = f"{machine.folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    script = script.replace("source .venv/bin/activate\n", "").replace(
        "scripts/deploy/run", f"{ROOT}/scripts/deploy/run"
    )
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=machine.folder,
        env={**machine.environment, "PATH": path},
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.long
def test_the_deployment(reader: Machine) -> None:
    reader.write("clusters.json", block(PAGE, '[{"name": "gpu-low"'))
    assert isinstance(
        read_settings({"MITORCH_CLUSTERS": str(reader.folder / "clusters.json")}).clusters[0], AzureMLCluster
    )
    first, *rest = block(PAGE, "scripts/venv azure").splitlines(keepends=True)
    assert first == "scripts/venv azure\n"  # which installs from PyPI
    out = shell(reader, "".join(rest))
    assert "Health:" in out
    calls = [json.loads(line) for line in (reader.folder / "calls.jsonl").read_text().splitlines()]
    verbs = [" ".join(call).split(" --")[0] for call in calls]
    assert verbs[:3] == ["login", "group create", "deployment group what-if"]
    assert "functionapp deployment source config-zip" in verbs
    assert "password" not in json.dumps(calls)


@pytest.fixture
def azure(tmp_path: Path) -> Iterator[Emulator]:
    with running(tmp_path / "azure") as azure:
        azure.populate()
        yield azure


@pytest.fixture
def storage(azure: Emulator) -> Iterator[Storage]:
    with storage_of(azure) as storage:
        yield storage


@pytest.fixture
def database(mongodb_uri: str) -> Iterator[dict[str, str]]:
    """The settings of a database that nobody else has."""
    name = f"mitorch_readme_{os.getpid()}"
    yield {"MITORCH_DB_URI": mongodb_uri, "MITORCH_DB_NAME": name}
    with pymongo.MongoClient[dict[str, object]](mongodb_uri) as client:
        client.drop_database(name)


@pytest.mark.long
def test_ones_own_machine(
    reader: Machine, azure: Emulator, storage: Storage, azurite: Azurite, database: dict[str, str]
) -> None:
    write_small_digits(reader.folder / "set")
    storage.write(reader.folder / "set")
    cluster = {"name": COMPUTE, "kind": "azureml", "subscription_id": SUBSCRIPTION}
    reader.write("clusters.json", [{**cluster, "resource_group": GROUP, "workspace": WORKSPACE}])
    paths = [f"pictures/set/{name}" for name in ("labels.txt", "images.zip")]
    splits = {split: part(f"pictures/set/{split}.txt", *paths) for split in ("train", "val")}
    reader.write("definitions.json", [{"name": "digits", "version": 1, **splits}])
    reader.write("training.json", TINY_TRAINING)
    identity = {"AZURE_TENANT_ID": TENANT, "AZURE_CLIENT_ID": PRINCIPAL, "AZURE_CLIENT_SECRET": PASSWORD}
    reader.environment |= {**azure.environment(reader.folder), **identity, **database}
    artifacts = azurite.new_container().container_name
    commands = block(PAGE, "source .venv/bin/activate")
    commands = commands.replace("mongodb+srv://user:password@host/", database["MITORCH_DB_URI"])
    commands = commands.replace("https://ACCOUNT.blob.core.windows.net/pictures", storage.container)
    url = f"{azurite.url(artifacts)}?{azurite.sas(artifacts)}"
    out = shell(reader, commands.replace("https://ACCOUNT.blob.core.windows.net/artifacts", url), f"{storage.sas}\n")
    assert "FAIL" not in out
    told = [line for line in out.splitlines() if line.startswith("ok    cluster")]
    assert f"ok    cluster {COMPUTE} sign-in: as the identity of this machine" in told
    assert "registered digits:1" in out
    assert "1st in the queue (priority 100)" in out
    assert storage.sas.partition("sig=")[2] not in out
