"""Faults on command, as the unmodified azureml-core sees them; and that nothing leaves loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.azureml_emulator.client import COMPUTE, TENANT, Emulator, running
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


def test_a_lost_answer_to_submit_leaves_one_run(sdk: SdkProcess, emulator: Emulator, source: str) -> None:
    lost = emulator.faults.drop_after(operation="submit")
    with pytest.raises(SdkError, match="409"):
        sdk("submit", folder=source, run_id="adopted")
    assert emulator.faults.hits(lost) == 1
    assert emulator.wait("adopted") == "Completed"
    assert (sdk("status", run_id="adopted"), emulator.run("adopted")["starts"]) == ("Completed", 1)


def test_a_lost_request_is_sent_again(sdk: SdkProcess, emulator: Emulator, source: str) -> None:
    lost = emulator.faults.drop_before(operation="submit")
    sdk("submit", folder=source, run_id="again")
    assert (emulator.wait("again"), emulator.faults.hits(lost)) == ("Completed", 1)


def test_submit_fails_after_the_run_exists(sdk: SdkProcess, emulator: Emulator, source: str) -> None:
    emulator.faults.status(400, "no tags today", operation="run.patch", skip=1)
    with pytest.raises(SdkError, match="no tags today"):
        sdk("submit", folder=source, run_id="untagged", tags={"a": "b"})
    assert emulator.wait("untagged") == "Completed"
    assert sdk("run_data", run_id="untagged")["tags"] == {}


def test_faults_hit_the_calls_that_they_are_meant_for(sdk: SdkProcess, emulator: Emulator, source: str) -> None:
    sdk("submit", folder=source, run_id="target")
    emulator.wait("target")
    emulator.faults.lie({"status": "Bewildered", "endTimeUtc": None}, method="GET", path="/runs/target$", count=2)
    assert sdk("status", run_id="target") == "Bewildered"
    assert sdk("status", run_id="target") == "Completed"
    emulator.faults.replace("<html>", operation="run.get")
    with pytest.raises(SdkError):
        sdk("status", run_id="target")
    slow = emulator.faults.delay(0.2, operation="run.get", count=2)
    assert (sdk("status", run_id="target"), emulator.faults.hits(slow)) == ("Completed", 1)


def test_an_expired_token_reaches_the_caller(sdk: SdkProcess, emulator: Emulator) -> None:
    emulator.faults.expire_tokens(operation="compute.get")
    with pytest.raises(SdkError, match="ExpiredAuthenticationToken"):
        sdk("compute_status", name=COMPUTE)
    sdk("forget_workspaces")
    assert sdk("compute_status", name=COMPUTE)["provisioningState"] == "Succeeded"


def test_a_preempted_run_is_queued_again(sdk: SdkProcess, emulator: Emulator, source: str) -> None:
    sdk("submit", folder=source, run_id="preempted", script="wait.py", arguments=["willing"])
    emulator.wait_for_log("preempted", "waiting")
    nodes = {node["id"] for node in emulator.compute()["nodes"] if node["run_id"] == "preempted"}
    emulator.configure(hold=True)
    emulator.preempt("preempted")
    emulator.wait("preempted", "Queued")
    assert not nodes & {node["id"] for node in emulator.compute()["nodes"]}
    assert sdk("compute_status", name=COMPUTE)["nodeStateCounts"]["preemptedNodeCount"] == 1
    emulator.configure(hold=False)
    emulator.wait("preempted", "Running")
    assert emulator.run("preempted")["starts"] == 2


def test_a_preempted_run_may_fail(sdk: SdkProcess, emulator: Emulator, source: str) -> None:
    sdk("submit", folder=source, run_id="lost", script="wait.py", arguments=["willing"])
    emulator.wait("lost", "Running")
    emulator.preempt("lost", then="fail")
    assert emulator.wait("lost") == "Failed"
    assert "preempted" in sdk("details", run_id="lost")["error"]["error"]["message"]


def test_a_run_may_vanish(sdk: SdkProcess, emulator: Emulator, source: str) -> None:
    sdk("submit", folder=source, run_id="gone")
    emulator.wait("gone")
    emulator.vanish("gone")
    with pytest.raises(SdkError, match="Run gone was not found"):
        sdk("status", run_id="gone")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"service_principal_password": "wrong"}, "AADSTS7000215"),
        ({"tenant_id": "44444444-4444-4444-4444-444444444444"}, "[Tt]enant"),
        ({"service_principal_id": "expired", "service_principal_password": "old"}, "AADSTS7000222"),
        ({"service_principal_id": "stranger", "service_principal_password": "x"}, "AADSTS700016|not found"),
        ({"name": "other"}, "not found"),
        ({"service_principal_id": "roleless", "service_principal_password": "x"}, "[Ss]ubscription|authoriz"),
    ],
)
def test_who_may_not_come_in(sdk: SdkProcess, emulator: Emulator, names: dict[str, str], message: str) -> None:
    emulator.add_principal(TENANT, "expired", "old", expired=True)
    emulator.add_principal(TENANT, "roleless", "x", workspaces=["elsewhere"])
    with pytest.raises(SdkError, match=message):
        sdk("workspace_id", **names)


def test_unknown_hosts_are_refused_and_nothing_leaves_loopback(sdk: SdkProcess, emulator: Emulator) -> None:
    for url in ("https://example.com/", "https://account.blob.core.windows.net/c/b"):
        with pytest.raises(SdkError, match="ProxyError"):
            sdk("fetch", url=url)
    assert sdk("fetch", url="http://169.254.169.254/metadata") == 403
    assert emulator.refused() == ["example.com", "account.blob.core.windows.net", "169.254.169.254"]
    assert emulator.left_loopback() == []
    unknown = [record["path"] for record in emulator.traffic() if record["operation"] == "unknown"]
    assert unknown == []


def test_the_guard_stops_what_would_leave(sdk: SdkProcess, emulator: Emulator, tmp_path: Path) -> None:
    (tmp_path / "out.py").write_text("import socket\nsocket.create_connection(('192.0.2.1', 80), 1)\n")
    sdk("submit", folder=str(tmp_path), run_id="out", script="out.py")
    assert emulator.wait("out") == "Failed"
    assert emulator.left_loopback() == ["192.0.2.1"]


def test_the_traffic_log_holds_the_secrets(sdk: SdkProcess, emulator: Emulator) -> None:
    sdk("secret", name="canary", value="canary-s3cret")
    carrying = {r["operation"] for r in emulator.traffic() if "canary-s3cret" in json.dumps(r)}
    assert carrying == {"secret.set", "secret.get"}


def test_the_end_of_the_emulator_ends_its_jobs(tmp_path: Path, source: str) -> None:
    with running(tmp_path / "emulator") as emulator, sdk_process(emulator, tmp_path / "sdk") as sdk:
        emulator.populate()
        sdk("submit", folder=source, run_id="orphan", script="wait.py", arguments=["stubborn"])
        emulator.wait_for_log("orphan", "waiting")
        folder = str(emulator.folder / "runs" / "orphan" / "nodes" / "0")
        jobs = [process for process in psutil.process_iter() if _folder(process) == folder]
        assert len(jobs) == 1
    psutil.wait_procs(jobs, timeout=10)
    assert not any(job.is_running() for job in jobs)


def _folder(process: psutil.Process) -> str | None:
    try:
        return process.cwd()
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return None
