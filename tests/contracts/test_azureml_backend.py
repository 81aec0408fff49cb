"""The contract of a backend on emulated Azure ML, and what the SDK and the service can do wrong."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mitorch_service.backends.base import Backend, Capacity, RunRequest, RunStatus
from mitorch_service.errors import BackendError, BackendUnavailable, RunRefused
from mitorch_service.models.run_state import RunState
from mitorch_service.models.training import Resources, run_name
from tests.azureml_emulator.client import COMPUTE, PASSWORD, PRINCIPAL, TENANT, Emulator, running
from tests.azureml_worker import Worker
from tests.contracts.local_cluster import eventually, python, shell, state, wait_for
from tests.contracts.test_backend_basics import (  # noqa: F401 - run here, with the fixture below
    test_a_canceled_run_ends_once_and_frees_its_slot,
    test_a_request_is_a_value_named_after_the_attempt,
    test_a_submission_may_be_repeated,
    test_an_unknown_run_has_no_status_no_log_and_may_be_canceled,
)

ENDED = (RunState.SUCCEEDED, RunState.FAILED, RunState.KILLED)
SLEEP = ("/bin/sleep", "60")
DB_URI = "mongodb://me:hunter2@db.example/"
STORAGE_URL = "https://acct.blob.core.windows.net/files?se=2030-01-01&sig=hunter3"
SECRETS = {"MITORCH_DB_URI": DB_URI, "MITORCH_STORAGE_URL": STORAGE_URL, "MITORCH_DB_NAME": "mitorch"}
WithCluster = Callable[..., Backend]

_numbers = itertools.count()


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running(tmp_path_factory.mktemp("azure")) as emulator:
        emulator.add_principal()
        yield emulator


@pytest.fixture(scope="module")
def worker(azure: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    with Worker(azure, tmp_path_factory.mktemp("worker")) as worker:
        yield worker


@pytest.fixture
def workspace(azure: Emulator) -> Iterator[str]:
    """A workspace of its own for each test, with a cluster of four nodes."""
    name = f"workspace-{next(_numbers)}"
    azure.add_workspace(name)
    azure.add_compute(workspace=name, max_nodes=4)
    yield name
    azure.faults.clear()
    azure.configure(latency=0.0, hold=False, kill_grace=5.0, page_size=100)
    for run in azure.runs():
        if run["status"] not in ("Completed", "Failed", "Canceled"):
            azure.cancel(run["runId"])


@pytest.fixture
def with_cluster(worker: Worker, workspace: str, tmp_path: Path) -> WithCluster:
    """Makes backends for the workspace's cluster, the settings changed as given; their nodes run any command."""

    def make(commands: bool = True, **changes: Any) -> Backend:
        settings = {"name": COMPUTE, "workspace": workspace, **changes}
        return worker.backend(tmp_path / "home", commands, SECRETS, **settings)

    return make


@pytest.fixture
def backend(with_cluster: WithCluster) -> Backend:
    return with_cluster()


@pytest.fixture
def backend_with(azure: Emulator, workspace: str, with_cluster: WithCluster) -> Callable[[int], Backend]:
    """Returns the function that the shared contract needs."""

    def make(slots: int) -> Backend:
        azure.add_compute(workspace=workspace, max_nodes=slots)
        return with_cluster()

    return make


@pytest.fixture
def run(workspace: str) -> str:
    """A name that no other test has: the emulator has one list of runs."""
    return f"run-{workspace}"


@contextmanager
def calls(azure: Emulator) -> Iterator[Counter[str]]:
    """The operations that are asked for inside."""
    seen: Counter[str] = Counter()
    before = len(azure.traffic())
    yield seen
    seen.update(record["operation"] for record in azure.traffic()[before:])


def at_once(azure: Emulator) -> int:
    """How many other calls were under way while a run was submitted, at most."""
    return max(int(record["beside"]) for record in azure.traffic() if record["operation"] in ("submit", "job.create"))


def starts(azure: Emulator, workspace: str) -> Counter[str]:
    """How often each run of a workspace was started on a node."""
    return Counter({r["runId"]: r["starts"] for r in azure.runs() if f"/workspaces/{workspace}/" in r["cancelUri"]})


def test_a_run_is_described_from_its_submission_to_its_end(backend: Backend, run: str, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    where = backend.submit(RunRequest(run, shell(f"echo in; until [ -e {gate} ]; do sleep 0.01; done; echo out")))
    assert where is not None
    assert where.startswith(f"https://ml.azure.com/runs/{run}?")
    wait_for(backend, run, [RunState.RUNNING])
    eventually(lambda: backend.logs(run) == "in\n")
    gate.touch()
    assert wait_for(backend, run, ENDED) == RunState.SUCCEEDED
    assert backend.describe([run]) == {run: RunStatus(RunState.SUCCEEDED, exit_code=0)}
    assert backend.logs(run) == "in\nout\n"
    assert backend.logs(run, max_bytes=3) == "ut\n"


@pytest.mark.parametrize("code", [3, 75])
def test_a_run_that_fails_tells_its_exit_code(backend: Backend, run: str, code: int) -> None:
    backend.submit(RunRequest(run, shell(f"exit {code}")))
    wait_for(backend, run, ENDED)
    assert backend.describe([run])[run] == RunStatus(RunState.FAILED, f"it ended with exit code {code}", code)


def test_a_run_that_a_signal_ends_was_killed(backend: Backend, run: str) -> None:
    backend.submit(RunRequest(run, python("import os; os.kill(os.getpid(), 9)")))
    assert wait_for(backend, run, ENDED) == RunState.KILLED


def test_the_request_is_the_whole_of_it_and_holds_no_secret(with_cluster: WithCluster) -> None:
    backend = with_cluster(commands=False, environment="registry.example/image:1", gpus=4)
    request: Any = backend.prepare("d0c5", 2, Resources(nodes=3))
    assert request.command[-4:] == ("run", "d0c5", "--attempt", "2")
    assert (request.nodes, request.processes, request.communicator) == (3, 12, "Nccl")
    assert (request.compute, request.experiment) == (COMPUTE, "mitorch")
    assert request.environment == "registry.example/image:1"
    assert dict(request.tags) == {**request.tags, "training": "d0c5", "attempt": "2", "nodes": "3"}
    assert len(request.snapshot) == 16
    assert "hunter" not in repr(request)
    assert request == backend.prepare("d0c5", 2, Resources(nodes=3))
    assert request != backend.prepare("d0c5", 2)


def test_many_runs_are_described_with_one_listing(azure: Emulator, backend: Backend, run: str) -> None:
    azure.configure(hold=True)
    names = [f"{run}-{number}" for number in range(7)]
    for name in names:
        backend.submit(RunRequest(name, shell("exit 0")))
    with calls(azure) as seen:
        found = backend.describe(names)
    assert {status and status.state for status in found.values()} == {RunState.PENDING}
    assert seen == {"run.query": 1}
    azure.configure(page_size=3)
    with calls(azure) as seen:
        assert backend.describe(names) == found
    assert seen == {"run.query": 3}


def test_a_listing_that_lags_behind_hides_no_run(azure: Emulator, backend: Backend, run: str) -> None:
    backend.submit(RunRequest(run, shell("exit 0")))
    wait_for(backend, run, ENDED)
    azure.faults.replace({"value": [], "continuationToken": None}, operation="run.query")
    assert backend.describe([run, "nobody"])[run] == RunStatus(RunState.SUCCEEDED, exit_code=0)


def test_a_run_that_vanished_is_unknown(azure: Emulator, backend: Backend, run: str) -> None:
    backend.submit(RunRequest(run, SLEEP))
    wait_for(backend, run, [RunState.RUNNING])
    azure.vanish(run)
    assert backend.describe([run]) == {run: None}


def test_a_status_that_nobody_knows_is_waited_for(azure: Emulator, backend: Backend, run: str) -> None:
    azure.configure(hold=True)
    backend.submit(RunRequest(run, SLEEP))
    azure.finish(run, "Paused")
    assert state(backend, run) == RunState.UNKNOWN


def test_a_lost_answer_to_the_submission_is_no_second_run(azure: Emulator, workspace: str, backend: Backend) -> None:
    run = f"run-{workspace}"
    azure.faults.drop_after(operation="submit")
    where = backend.submit(RunRequest(run, shell("exit 0")))
    assert where is not None
    assert run in where
    wait_for(backend, run, ENDED)
    assert starts(azure, workspace) == {run: 1}


@pytest.mark.parametrize("skip", [0, 1])
def test_a_call_after_the_submission_that_fails_changes_nothing(
    azure: Emulator, workspace: str, backend: Backend, run: str, skip: int
) -> None:
    azure.faults.status(400, {"error": {"code": "UserError", "message": "no"}}, operation="run.patch", skip=skip)
    assert backend.submit(RunRequest(run, shell("exit 0"))) is not None
    wait_for(backend, run, ENDED)
    assert starts(azure, workspace) == {run: 1}
    assert state(backend, run) == RunState.SUCCEEDED  # though it may have no tags


def test_a_run_that_another_pass_has_submitted_meanwhile_is_adopted(
    azure: Emulator, workspace: str, with_cluster: WithCluster, run: str
) -> None:
    one, other = with_cluster(), with_cluster()
    first = one.submit(RunRequest(run, shell("exit 0")))
    azure.faults.replace({"value": [], "continuationToken": None}, operation="run.query")  # it has not seen it yet
    assert other.submit(RunRequest(run, shell("exit 0"))) == first
    wait_for(one, run, ENDED)
    assert starts(azure, workspace) == {run: 1}


def test_a_submission_that_did_not_arrive_may_be_repeated(azure: Emulator, backend: Backend, run: str) -> None:
    azure.faults.drop_before(operation="submit", count=None)
    with pytest.raises(BackendUnavailable, match="cannot be reached"):
        backend.submit(RunRequest(run, shell("exit 0")))
    assert backend.describe([run]) == {run: None}
    azure.faults.clear()
    backend.submit(RunRequest(run, shell("exit 0")))
    assert wait_for(backend, run, ENDED) == RunState.SUCCEEDED


def test_a_service_that_is_down_is_asked_again_later(azure: Emulator, backend: Backend) -> None:
    assert backend.capacity() == Capacity(4, 4)
    for status in (429, 500, 503):
        azure.faults.status(status, "busy", operation="run.query", count=None)
        with pytest.raises(BackendUnavailable, match=str(status)):
            backend.describe(["nobody"])
        azure.faults.clear()
    azure.faults.replace("<html>no JSON</html>", operation="run.query")
    with pytest.raises(BackendUnavailable):
        backend.describe(["nobody"])
    assert backend.describe(["nobody"]) == {"nobody": None}


def test_the_code_is_uploaded_once_and_again_where_the_workspace_lost_it(
    azure: Emulator, backend: Backend, run: str
) -> None:
    with calls(azure) as seen:
        for number in range(3):
            backend.submit(RunRequest(f"{run}-{number}", shell("exit 0")))
    assert (seen["submit"], seen["snapshot.create"]) == (3, 1)
    lost = {"error": {"code": "UserError", "message": "Snapshot 0 was not found."}}
    azure.faults.status(400, lost, operation="submit")
    with calls(azure) as seen:
        backend.submit(RunRequest(f"{run}-3", shell("exit 0")))
    assert (seen["submit"], seen["snapshot.create"]) == (2, 1)
    assert wait_for(backend, f"{run}-3", ENDED) == RunState.SUCCEEDED


def test_a_cancel_whose_answer_is_lost_was_obeyed(azure: Emulator, backend: Backend, run: str) -> None:
    backend.submit(RunRequest(run, SLEEP))
    wait_for(backend, run, [RunState.RUNNING])
    azure.faults.drop_after(operation="cancel", count=None)
    azure.faults.status(500, "no", operation="run.wait_for_metrics", count=None)
    backend.cancel(run)
    assert wait_for(backend, run, ENDED) == RunState.KILLED
    status = backend.describe([run])[run]
    assert status is not None
    assert status.reason == "it was canceled on Azure"


def test_a_cancel_that_did_not_arrive_is_an_error(azure: Emulator, backend: Backend, run: str) -> None:
    backend.submit(RunRequest(run, SLEEP))
    wait_for(backend, run, [RunState.RUNNING])
    azure.faults.drop_before(operation="cancel", count=None)
    with pytest.raises(BackendUnavailable):
        backend.cancel(run)
    azure.faults.clear()
    backend.cancel(run)
    assert wait_for(backend, run, ENDED) == RunState.KILLED


def test_a_token_that_has_expired_is_renewed(azure: Emulator, backend: Backend, run: str) -> None:
    backend.submit(RunRequest(run, shell("exit 0")))
    for call in (lambda: backend.describe([run]), backend.capacity, lambda: backend.logs(run)):
        azure.expire_tokens()
        call()
    azure.expire_tokens()
    backend.submit(RunRequest(f"{run}-2", shell("exit 0")))
    assert wait_for(backend, f"{run}-2", ENDED) == RunState.SUCCEEDED


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"auth": f"{TENANT}:{PRINCIPAL}:wr0ng"}, "sign-in failed"),
        ({"auth": f"{TENANT}:nobody:{PASSWORD}"}, "sign-in failed"),
        ({"auth": f"99999999-{TENANT[9:]}:{PRINCIPAL}:{PASSWORD}"}, "sign-in failed"),
        ({"workspace": "no-such"}, "Workspace not found"),
        ({"subscription_id": TENANT}, "subscription"),
        ({"compute": "no-such"}, "no compute 'no-such'.*allow its creation"),
    ],
)
def test_what_is_wrong_in_the_settings_is_said_with_the_remedy(
    with_cluster: WithCluster, changes: dict[str, str], words: str
) -> None:
    with pytest.raises(BackendError, match=words) as caught:
        with_cluster(**changes).capacity()
    assert not isinstance(caught.value, BackendUnavailable)
    assert "wr0ng" not in str(caught.value)
    assert PASSWORD not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_role_is_said(azure: Emulator, backend: Backend) -> None:
    assert backend.capacity() == Capacity(4, 4)
    azure.faults.status(403, {"error": {"code": "Forbidden", "message": "no"}}, operation="run.query", count=None)
    with pytest.raises(BackendError, match="role") as caught:
        backend.describe(["nobody"])
    assert not isinstance(caught.value, BackendUnavailable)


def test_a_preempted_run_waits_again_or_was_killed(azure: Emulator, backend: Backend, run: str) -> None:
    backend.submit(RunRequest(run, SLEEP))
    wait_for(backend, run, [RunState.RUNNING])
    azure.configure(hold=True)
    azure.preempt(run)
    assert wait_for(backend, run, [RunState.PENDING]) == RunState.PENDING
    azure.configure(hold=False)
    wait_for(backend, run, [RunState.RUNNING])
    azure.preempt(run, then="fail")
    assert wait_for(backend, run, ENDED) == RunState.KILLED
    status = backend.describe([run])[run]
    assert status is not None
    assert "preempted" in (status.reason or "")


def test_nodes_that_are_taken_waited_for_or_broken_are_not_free(
    azure: Emulator, workspace: str, backend: Backend, run: str
) -> None:
    assert backend.capacity() == Capacity(4, 4)
    backend.submit(RunRequest(run, SLEEP))
    wait_for(backend, run, [RunState.RUNNING])
    assert backend.capacity() == Capacity(4, 3)
    azure.configure(hold=True)
    backend.submit(RunRequest(f"{run}-2", SLEEP))
    assert backend.capacity() == Capacity(4, 2)
    azure.add_compute(workspace=workspace, unusable=1)
    assert backend.capacity() == Capacity(4, 1)


def test_a_cluster_is_created_when_it_is_first_needed(
    azure: Emulator, workspace: str, with_cluster: WithCluster, run: str
) -> None:
    profile = {"vm_size": "Standard_NC24", "max_nodes": 3, "idle_seconds": 600}
    backend = with_cluster(name=f"new-{workspace}", create=profile, low_priority=True)
    with calls(azure) as seen:
        assert backend.capacity() == Capacity(3, 3)
    assert "compute.create" not in seen
    with pytest.raises(BackendUnavailable, match="is being created"):
        backend.submit(RunRequest(run, shell("exit 0")))
    made = azure.compute(f"new-{workspace}")
    assert (made["vm_size"], made["priority"], made["max_nodes"]) == ("Standard_NC24", "LowPriority", 3)
    assert (made["min_nodes"], made["idle_seconds"]) == (0, 600)
    assert backend.capacity() == Capacity(3, 0)
    azure.add_compute(f"new-{workspace}", workspace, state="Succeeded")
    backend.submit(RunRequest(run, shell("exit 0")))
    assert wait_for(backend, run, ENDED) == RunState.SUCCEEDED
    azure.add_compute(f"new-{workspace}", workspace, state="Failed", error="quota exceeded")
    with pytest.raises(BackendError, match=r"quota exceeded.*quota of its VM size"):
        backend.capacity()


def test_several_nodes_are_one_distributed_run(azure: Emulator, with_cluster: WithCluster) -> None:
    backend = with_cluster(commands=False)
    request = backend.prepare("distributed", 1, Resources(nodes=2, gpus=0))
    backend.submit(request)
    first, second = (azure.folder / "runs" / request.name / f"user_logs/std_log_process_{n}.txt" for n in range(2))
    eventually(lambda: second.exists() and "process 1 of 2 takes part" in second.read_text())
    assert state(backend, request.name) == RunState.RUNNING  # until the first process ends, which looks for a database
    assert "process 0" not in first.read_text()
    config = azure.run(request.name)["definition"]["Configuration"]
    assert (config["nodeCount"], config["communicator"].lower(), config["framework"]) == (2, "gloo", "PyTorch")
    assert config["pytorch"]["processCount"] == 2


def test_the_environment_is_ours_an_image_or_a_registered_one(
    azure: Emulator, workspace: str, with_cluster: WithCluster, run: str
) -> None:
    azure.configure(hold=True)

    def submitted(name: str, environment: str | None) -> dict[str, Any]:
        backend = with_cluster(commands=False, environment=environment)
        backend.submit(request := backend.prepare(name, 1))
        found: dict[str, Any] = azure.run(request.name)["definition"]["Configuration"]["environment"]
        return found

    ours = submitted(f"{run}-ours", None)
    packages = str(ours["python"]["condaDependencies"]["dependencies"])
    assert (ours["name"], "python=3.11" in packages, "torch==" in packages) == ("mitorch", True, True)
    image = submitted(f"{run}-image", "registry.example/image:1")
    assert image["docker"]["baseImage"] == "registry.example/image:1"
    with pytest.raises(RunRefused, match="AzureML-pytorch"):
        submitted(f"{run}-none", "AzureML-pytorch:7")
    assert len(starts(azure, workspace)) == 2
    curated = {**ours, "name": "AzureML-pytorch", "version": "7"}
    azure.faults.status(200, curated, operation="environment.get", count=None)
    named = submitted(f"{run}-curated", "AzureML-pytorch:7")
    assert (named["name"], named["version"]) == ("AzureML-pytorch", "7")


def test_many_are_submitted_at_once_and_one_that_fails_stops_no_other(
    azure: Emulator, with_cluster: WithCluster, workspace: str
) -> None:
    azure.configure(hold=True, latency=0.2)
    backend = with_cluster(commands=False)
    requests = [backend.prepare(f"{workspace}-{number}", 1) for number in range(24)]
    azure.faults.status(400, {"error": {"message": "not this one"}}, path=requests[5].name, count=None)
    with calls(azure) as seen:
        answers = backend.submit_all(requests)
    assert isinstance(answers[5], BackendError)
    assert [isinstance(answer, str) for answer in answers].count(True) == 23
    assert all(
        request.name in str(answer)
        for request, answer in zip(requests, answers, strict=True)
        if answer is not answers[5]
    )
    assert at_once(azure) > 4
    assert seen["snapshot.create"] == 1
    assert backend.submit_all(requests[:2]) == answers[:2]


def test_a_workspace_that_is_down_fails_all_submissions_at_once(azure: Emulator, with_cluster: WithCluster) -> None:
    azure.faults.drop_before(count=None)
    backend = with_cluster(commands=False)
    answers = backend.submit_all([backend.prepare(str(number), 1) for number in range(50)])
    assert all(isinstance(answer, BackendUnavailable) for answer in answers)


def test_secrets_go_into_the_vault_once_and_nowhere_else(
    azure: Emulator, workspace: str, with_cluster: WithCluster, run: str
) -> None:
    backend = with_cluster()
    before = len(azure.traffic())
    with calls(azure) as seen:
        for number in range(2):
            backend.submit(RunRequest(f"{run}-{number}", shell("exit 0")))
    assert sorted(azure.secrets(workspace).values()) == [STORAGE_URL, DB_URI]
    assert all(name.startswith("mitorch-") for name in azure.secrets(workspace))
    assert sum(count for name, count in seen.items() if name.startswith("secret")) <= 3
    with_cluster().submit(RunRequest(f"{run}-2", shell("exit 0")))  # another process finds them there
    for record in azure.traffic()[before:]:
        if not record["operation"].startswith("secret"):
            assert "hunter" not in str(record), record["operation"]


def test_the_sdk_says_nothing_and_asks_only_azure(azure: Emulator, worker: Worker, backend: Backend) -> None:
    backend.submit(RunRequest(run_name("quiet", 1), shell("exit 0")))
    assert worker.log.read_text() == ""
    assert azure.refused() == []
