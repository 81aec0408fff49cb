"""The unmodified SDKs (azureml-core, azure-ai-ml), in processes of their own, against the emulator: every flow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.azureml_emulator.client import COMPUTE, Emulator
from tests.azureml_emulator.scenario import populated, settle, write_source
from tests.azureml_emulator.sdk_process import SdkError, SdkProcess, sdk_process

pytestmark = pytest.mark.long  # of the stand-in, in which nothing of ours is


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with populated(tmp_path_factory.mktemp("emulator")) as started:
        yield started


@pytest.fixture(scope="module")
def sdk(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SdkProcess]:
    with sdk_process(emulator, tmp_path_factory.mktemp("sdk"), retries=1) as process:
        yield process


@pytest.fixture(autouse=True)
def _as_ever(emulator: Emulator) -> Iterator[None]:
    yield
    settle(emulator)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_source(tmp_path_factory.mktemp("source"))


def test_workspace_and_computes(sdk: SdkProcess, emulator: Emulator) -> None:
    assert sdk("workspace_id")
    status = sdk("compute_status", name=COMPUTE)
    assert (status["currentNodeCount"], status["scaleSettings"]["maxNodeCount"]) == (0, 3)
    assert sdk("locations") == {"usages": "Standard NCSv3 Family", "quotas": 1}
    emulator.configure(create_polls=0)  # the SDK sleeps 5 s between two of them
    assert (
        sdk("create_compute", name="low", vm_size="Standard_D2", vm_priority="lowpriority", max_nodes=2) == "Succeeded"
    )
    created = emulator.compute("low")
    assert (created["priority"], created["max_nodes"], created["vm_size"]) == ("LowPriority", 2, "Standard_D2")
    assert sdk("computes") == [COMPUTE, "low"]
    with pytest.raises(SdkError, match="ComputeTargetNotFound"):
        sdk("compute_status", name="nowhere")


def test_a_script_runs_with_its_files_arguments_and_environment(
    sdk: SdkProcess, emulator: Emulator, source: str
) -> None:
    sdk("submit", folder=source, run_id="plain", arguments=["--epochs", "3"], environment={"FOO": "bar"})
    assert emulator.wait("plain") == "Completed"
    found = sdk("details", run_id="plain")
    assert found["logFiles"] == {"user_logs/std_log.txt": 'hello [["--epochs", "3"], {"FOO": "bar"}]\n'}
    assert emulator.run("plain")["statuses"] == ["Preparing", "Queued", "Running", "Completed"]
    assert sdk("status", run_id="plain") == "Completed"


def test_an_exit_code_fails_the_run(sdk: SdkProcess, emulator: Emulator, source: str) -> None:
    sdk("submit", folder=source, run_id="three", script="exit.py", arguments=["3"])
    assert emulator.wait("three") == "Failed"
    assert "exited with status code 3" in sdk("details", run_id="three")["error"]["error"]["message"]


def test_a_snapshot_is_uploaded_once(sdk: SdkProcess, emulator: Emulator, source: str) -> None:
    sdk("submit", folder=source, run_id="first")
    before = len(emulator.traffic())
    sdk("submit", folder=source, run_id="second", tags={"a": "b"})
    operations = [record["operation"] for record in emulator.traffic()[before:]]
    assert operations.count("submit") == 1
    assert not {"snapshot.getblob", "blob.put", "snapshot.create"} & set(operations)
    assert emulator.wait("second") == "Completed"


def test_a_job_reaches_its_own_run(sdk: SdkProcess, emulator: Emulator, source: str) -> None:
    assert sdk("secret", name="db-uri", value="mongodb://user:s3cret@host") == "mongodb://user:s3cret@host"
    sdk("submit", folder=source, run_id="inside", script="inside.py", tags={"job": "one"})
    assert (emulator.wait("inside"), emulator.log("inside")) == ("Completed", "inside True\n")
    data = sdk("run_data", run_id="inside")
    assert data["metrics"] == {"loss": [1, 0.5, 1 / 3], "curve": {"epoch": 1, "loss": 0.5}}
    assert data["tags"] == {"job": "one", "stage": "trained"}
    assert data["files"] == ["outputs/weights.txt", "user_logs/std_log.txt"]


def test_a_distributed_job_has_a_process_per_rank(sdk: SdkProcess, emulator: Emulator, source: str) -> None:
    sdk("submit", folder=source, run_id="many", nodes=2, processes=4)
    assert emulator.wait("many") == "Completed"
    logs = sdk("details", run_id="many")["logFiles"]
    said = [json.loads(logs[f"user_logs/std_log_process_{rank}.txt"].removeprefix("hello "))[1] for rank in range(4)]
    assert [(each["RANK"], each["NODE_RANK"], each["LOCAL_RANK"]) for each in said] == [
        ("0", "0", "0"),
        ("1", "0", "1"),
        ("2", "1", "0"),
        ("3", "1", "1"),
    ]
    assert {(each["WORLD_SIZE"], each["MASTER_ADDR"], each["MASTER_PORT"]) for each in said} == {
        ("4", "127.0.0.1", said[0]["MASTER_PORT"])
    }
    assert len(emulator.compute()["nodes"]) == 2


def test_a_run_needs_a_free_node(sdk: SdkProcess, emulator: Emulator, source: str) -> None:
    for number in range(4):
        sdk("submit", folder=source, run_id=f"busy-{number}", script="wait.py", arguments=["willing"])
    assert [emulator.wait(f"busy-{number}", "Running") for number in range(3)] == ["Running"] * 3
    counts = sdk("compute_status", name=COMPUTE)["nodeStateCounts"]
    assert (counts["runningNodeCount"], counts["idleNodeCount"]) == (3, 0)
    assert sdk("status", run_id="busy-3") == "Queued"
    emulator.cancel("busy-0")
    assert emulator.wait("busy-3", "Running") == "Running"
    with pytest.raises(SdkError, match="exceeds the cluster's maximum"):
        sdk("submit", folder=source, run_id="wide", nodes=4)


@pytest.mark.parametrize("manner", ["willing", "stubborn"])
def test_cancel_ends_the_processes(sdk: SdkProcess, emulator: Emulator, source: str, manner: str) -> None:
    emulator.configure(kill_grace=0.3)
    sdk("submit", folder=source, run_id=manner, script="wait.py", arguments=[manner])
    emulator.wait(manner, "Running")
    emulator.wait_for_log(manner, "waiting")
    sdk("cancel", run_id=manner)
    assert emulator.wait(manner) == "Canceled"
    assert emulator.log(manner).endswith("told to end\n")
    assert emulator.run(manner)["statuses"][-2:] == ["CancelRequested", "Canceled"]
    sdk("cancel", run_id=manner)
    assert sdk("status", run_id=manner) == "Canceled"


def test_a_queued_run_is_canceled_at_once(sdk: SdkProcess, emulator: Emulator, source: str) -> None:
    emulator.configure(hold=True)
    sdk("submit", folder=source, run_id="waits")
    sdk("cancel", run_id="waits")
    assert (sdk("status", run_id="waits"), emulator.run("waits")["starts"]) == ("Canceled", 0)


def test_listing_by_tag_in_pages(sdk: SdkProcess, emulator: Emulator, source: str) -> None:
    emulator.configure(hold=True, page_size=2)
    names = [f"page-{number}" for number in range(5)]
    for name in names:
        sdk("submit", folder=source, run_id=name, tags={"job": "paged", "name": name})
    assert sdk("listing", tags={"job": "paged"}) == names[::-1]
    assert sdk("listing", tags={"job": "paged", "name": "page-3"}) == ["page-3"]
    assert sdk("listing", tags={"job": "other"}) == []


def test_environments_datastores_and_models(sdk: SdkProcess, tmp_path: Path) -> None:
    assert sdk("environment", name="training", packages=["torch"]) == ["1", "1"]
    assert sdk("environment", name="training", packages=["torch"]) == ["1", "1"]
    assert sdk("environment", name="training", packages=["torch", "timm"]) == ["2", "2"]
    assert sdk("datastore", name="data", container="images", account="account", key="a2V5") == [
        "images",
        "account",
        "a2V5",
        "workspaceblobstore",
    ]
    driver_folder = Path(sdk("working_folder"))
    (driver_folder / "weights.txt").write_text("weights")
    tags = {"metric": "0.9"}
    found = sdk("model", path="weights.txt", name="best", tags=tags, target=str(tmp_path))
    assert found == {"version": 1, "tags": tags, "content": "weights", "listed": ["best"]}
    assert sdk("model", path="weights.txt", name="best", tags={}, target=str(tmp_path / "2"))["version"] == 2


@pytest.fixture(scope="module")
def second(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SdkProcess]:
    with sdk_process(emulator, tmp_path_factory.mktemp("second"), driver="sdk_v2_driver") as process:
        yield process


def test_second_sdk_creates_a_job_once(second: SdkProcess, emulator: Emulator, source: str) -> None:
    job = {"folder": source, "run_id": "second-1", "line": "python job.py --epochs 3", "tags": {"job": "two"}}
    second("submit", environment={"FOO": "bar"}, **job)
    assert emulator.wait("second-1") == "Completed"
    assert emulator.log("second-1") == 'hello [["--epochs", "3"], {"FOO": "bar"}]\n'
    before = len(emulator.traffic())
    assert second("submit", environment={"FOO": "bar"}, **job) == "Completed"
    assert "blob.put" not in [record["operation"] for record in emulator.traffic()[before:]]
    assert (emulator.run("second-1")["starts"], second("listing", tag="job=two")) == (1, ["second-1"])
    with pytest.raises(SdkError, match="already exists"):
        second("submit", **{**job, "line": "true"})
    lost = emulator.faults.drop_after(operation="job.create")
    second("submit", **{**job, "run_id": "second-2"})
    assert emulator.wait("second-2") == "Completed"
    assert (emulator.run("second-2")["starts"], emulator.faults.hits(lost)) == (1, 1)
    assert second("computes")[COMPUTE] == 3


def test_second_sdk_sees_the_same_runs(sdk: SdkProcess, second: SdkProcess, emulator: Emulator, source: str) -> None:
    second("submit", folder=source, run_id="leaves", line="python exit.py 3")
    assert emulator.wait("leaves") == "Failed"
    with pytest.raises(SdkError, match="exited with status code 3"):
        second("stream", run_id="leaves")
    assert sdk("status", run_id="leaves") == second("status", run_id="leaves") == "Failed"
    second("submit", folder=source, run_id="pair", line="python job.py", nodes=2)
    assert emulator.wait("pair") == "Completed"
    assert '"RANK": "1", "WORLD_SIZE": "2"' in emulator.log("pair", "user_logs/std_log_process_1.txt")
    second("submit", folder=source, run_id="stopped", line="exec python wait.py willing")
    emulator.wait_for_log("stopped", "waiting")
    second("cancel", run_id="stopped")
    assert emulator.wait("stopped") == "Canceled"


def test_second_sdk_registers_what_is_used(second: SdkProcess, source: str) -> None:
    assert second("assets", path=f"{source}/exit.py") == ["azureml://datastores/ds/paths/images", "images", "0.9"]


def test_all_this_asked_nobody_else(sdk: SdkProcess, second: SdkProcess, emulator: Emulator) -> None:
    assert (emulator.refused(), emulator.left_loopback()) == ([], [])
    assert [record["path"] for record in emulator.traffic() if record["operation"] == "unknown"] == []
