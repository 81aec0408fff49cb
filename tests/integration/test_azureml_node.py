"""Inside a run on emulated Azure ML: where its settings come from, whatever the key vault says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mitorch_service.backends.azureml.vault import PREFIX_VARIABLE, secret_names
from tests.azureml_emulator.client import ROOT, Emulator
from tests.azureml_emulator.scenario import populated, settle
from tests.azureml_emulator.sdk_process import SdkProcess, sdk_process

PREFIX = "mitorch-0123456789"
DB_URI, STORAGE_URL = "mongodb://me:hunter2@db/", "https://account.blob.core.windows.net/artifacts"
NAMES = secret_names(PREFIX)
SCRIPT = """
import json, os, sys
sys.path.append(os.environ["TREE"])
from mitorch_service.backends.azureml.v1.node import AzureMLNode
from mitorch_service.errors import BackendError
waits = []
try:
    print(json.dumps([AzureMLNode(os.environ, waits.append).settings(), len(waits)]))
except BackendError as error:
    print(json.dumps([str(error), len(waits)]))
"""


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with populated(tmp_path_factory.mktemp("emulator")) as started:
        yield started


@pytest.fixture(scope="module")
def sdk(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SdkProcess]:
    with sdk_process(emulator, tmp_path_factory.mktemp("sdk")) as process:
        yield process


@pytest.fixture
def source(emulator: Emulator, tmp_path: Path) -> Iterator[str]:
    (tmp_path / "job.py").write_text(SCRIPT)
    yield str(tmp_path)
    settle(emulator)


def settings(sdk: SdkProcess, emulator: Emulator, source: str, run: str, **given: str) -> list[object]:
    """Returns the settings that a node finds with these variables, and how often it has waited."""
    variables = {"TREE": str(ROOT), "AZUREML_DEFAULT_RETRIES": "0", **given}
    sdk("submit", folder=source, run_id=run, environment=variables)
    assert emulator.wait(run) == "Completed", emulator.log(run)
    answer: list[object] = json.loads(emulator.log(run).splitlines()[-1])
    return answer


def test_settings_come_from_the_vault_or_else_from_the_environment(
    sdk: SdkProcess, emulator: Emulator, source: str
) -> None:
    ours = {PREFIX_VARIABLE: PREFIX}
    told, _ = settings(sdk, emulator, source, "none", **ours)
    assert f"the workspace's key vault has no {NAMES['MITORCH_DB_URI']}, {NAMES['MITORCH_STORAGE_URL']}" in str(told)
    emulator.set_secret(NAMES["MITORCH_DB_URI"], DB_URI)
    told, _ = settings(sdk, emulator, source, "one", **ours)
    assert f"has no {NAMES['MITORCH_STORAGE_URL']}. The next submission writes it" in str(told)
    # What the vault lacks, the environment may have: `mirun` takes it from there.
    assert settings(sdk, emulator, source, "both", **ours, MITORCH_STORAGE_URL="/mnt/artifacts") == [
        {"MITORCH_DB_URI": DB_URI},
        0,
    ]
    emulator.set_secret(NAMES["MITORCH_STORAGE_URL"], STORAGE_URL)
    all_of_them = {"MITORCH_DB_URI": DB_URI, "MITORCH_STORAGE_URL": STORAGE_URL}
    assert settings(sdk, emulator, source, "all", **ours, MITORCH_STORAGE_URL="/mnt/artifacts") == [all_of_them, 0]
    assert settings(sdk, emulator, source, "not-ours") == [{}, 0]


def test_a_vault_that_is_away_for_a_moment_is_waited_for(sdk: SdkProcess, emulator: Emulator, source: str) -> None:
    for name, value in (("MITORCH_DB_URI", DB_URI), ("MITORCH_STORAGE_URL", STORAGE_URL)):
        emulator.set_secret(NAMES[name], value)
    away = emulator.faults.status(503, "busy", operation="secret.get", count=2)
    found, waits = settings(sdk, emulator, source, "away", **{PREFIX_VARIABLE: PREFIX})
    assert found == {"MITORCH_DB_URI": DB_URI, "MITORCH_STORAGE_URL": STORAGE_URL}
    assert emulator.faults.hits(away) == 2
    assert waits in (1, 2)  # the SDK may have asked again by itself
