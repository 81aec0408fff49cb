"""Inside a run on emulated Azure ML: where its settings come from, whatever the key vault says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mitorch_service.backends.azureml.vault import PREFIX_VARIABLE, VAULT_VARIABLE, secret_names
from tests.azureml_emulator.client import ROOT, WORKSPACE, Emulator
from tests.azureml_emulator.scenario import populated, settle
from tests.azureml_emulator.sdk_process import SdkProcess, sdk_process

PREFIX = "mitorch-0123456789"
DB_URI, STORAGE_URL = "mongodb://me:hunter2@db/", "https://account.blob.core.windows.net/artifacts"
NAMES = secret_names(PREFIX)
SCRIPT = """
import json, os, sys
os.environ["AZURE_CLIENT_ID"] = os.environ["DEFAULT_IDENTITY_CLIENT_ID"]  # as the entry on the node does
sys.path.append(os.environ["TREE"])
from mitorch_service.backends.azureml.node import AzureMLNode
from mitorch_service.errors import BackendError
waits = []
try:
    print(json.dumps([AzureMLNode(os.environ, waits.append).settings(), len(waits)]))
    assert not {name for name in sys.modules if name.partition(".")[0] == "azureml" or name.startswith("azure.ai")}
except BackendError as error:
    print(json.dumps([str(error), len(waits)]))
"""

SHOWN = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
sys.path.append(os.environ["TREE"])
from mitorch_service.backends.azureml.node import AzureMLNode
from mitorch_service.models.result import EpochResult
plots = Path("plots")
plots.mkdir()
(plots / "confusion_matrix.png").write_bytes(b"\\x89PNG")
table = "class,predicted with objects,predicted without\\nwith objects,3,1\\nwithout,0,2\\n"
(plots / "image_confusion_matrix.csv").write_text(table)
node = AzureMLNode(os.environ)
node.training_started({"Train Set": "train_pothole.csv", "Steps": "100"})
losses = {"objectness": 0.25, "box_reg": 0.5}
result = dict(epoch=1, step=50, train_loss=0.75, losses=losses, val_loss=1.0, finished_at=datetime.now(UTC))
node.epoch_ended(EpochResult(metrics={"mAP": 0.5}, **result))
node.training_ended({"val_loss": 1.0, "test_loss": 2.0}, plots)
node.close()
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


@pytest.mark.long
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


@pytest.mark.long
def test_the_vault_is_read_with_the_computes_identity_or_else_through_the_workspace(
    sdk: SdkProcess, emulator: Emulator, source: str
) -> None:
    wanted = {"MITORCH_DB_URI": DB_URI, "MITORCH_STORAGE_URL": STORAGE_URL}
    for name, value in wanted.items():
        emulator.set_secret(NAMES[name], value)
    ours = {PREFIX_VARIABLE: PREFIX, VAULT_VARIABLE: f"https://kv{WORKSPACE}.vault.azure.net"}
    before = emulator.moment()
    assert settings(sdk, emulator, source, "identity", **ours) == [wanted, 0]
    assert {record["host"] for record in emulator.traffic(before) if record["operation"] == "secret.get"} == {
        f"kv{WORKSPACE}.vault.azure.net"
    }
    emulator.configure(identity_reads_vaults=False)
    try:
        assert settings(sdk, emulator, source, "no-role", **ours) == [wanted, 0]
        away = emulator.faults.status(403, "no", path="credential/v2.0", count=None)
        told, _ = settings(sdk, emulator, source, "nothing", **ours)
        assert "may not read the key vault https://kvworkspace.vault.azure.net. Give the compute" in str(told)
        assert emulator.faults.hits(away) == 1
    finally:
        emulator.configure(identity_reads_vaults=True)


def test_tags_losses_of_each_stage_tables_and_pictures_are_on_the_run(
    sdk: SdkProcess, emulator: Emulator, tmp_path: Path
) -> None:
    (tmp_path / "job.py").write_text(SHOWN)
    variables = {"TREE": str(ROOT), "AZUREML_DEFAULT_RETRIES": "0"}
    sdk("submit", folder=str(tmp_path), run_id="shown", environment=variables)
    assert emulator.wait("shown") == "Completed", emulator.log("shown")
    run = emulator.run("shown")
    assert run["tags"].items() >= {"Train Set": "train_pothole.csv", "Steps": "100"}.items()
    metrics = run["metrics"]
    assert {"train_loss", "loss_objectness", "loss_box_reg", "val_loss", "mAP", "test_loss"} <= metrics.keys(), (
        emulator.log("shown")
    )
    assert [value["data"] for value in metrics["loss_objectness"]["value"]] == [{"loss_objectness": 0.25}]
    assert [value["step"] for value in metrics["mAP"]["value"]] == [50]
    rows = [value["data"] for value in metrics["image_confusion_matrix"]["value"]]
    assert rows[0] == {"class": "with objects", "predicted with objects": 3.0, "predicted without": 1.0}
    pictures = {name: metric["properties"]["uxMetricType"] for name, metric in metrics.items() if "matrix" in name}
    assert pictures["confusion_matrix"] == "azureml.v2.image"
    assert pictures["image_confusion_matrix_chart"] == "azureml.v2.confusion_matrix"
    uploaded = [path for path in (emulator.folder / "blobs").rglob("*") if path.is_file()]
    assert any(path.read_bytes()[:4] == b"\x89PNG" for path in uploaded)
    settle(emulator)
