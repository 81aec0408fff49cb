"""The contract of the Azure ML backends, for both SDKs, on an emulated service."""

from __future__ import annotations

import itertools
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from mitorch_service.backends.base import Backend, Capacity, RunRequest, RunStatus
from mitorch_service.backends.optional import ComputeCreation
from mitorch_service.cluster_settings.azureml_cluster import CreateProfile
from mitorch_service.cluster_settings.local_cluster import LocalCluster
from mitorch_service.controller.loop import Controller
from mitorch_service.errors import BackendError, BackendUnavailable
from mitorch_service.models.attempts.run_state import RunState
from mitorch_service.models.status import AttemptOutcome
from mitorch_service.models.training import Resources, run_name
from mitorch_service.stores.sqlite.store import SqliteStore
from tests.azureml_emulator.client import COMPUTE, Emulator
from tests.azureml_worker import RemoteBackend, Worker
from tests.contracts.backends.backend_suite import ENDED, SLEEP, ExecutionContract
from tests.contracts.backends.local_cluster import eventually, python, shell, state, wait_for
from tests.samples import NOW, a_training, an_attempt, later

DB_URI = "mongodb://me:hunter2@db.example/"
STORAGE_URL = "https://acct.blob.core.windows.net/files?se=2030-01-01&sig=hunter3"
SECRETS = {"MITORCH_DB_URI": DB_URI, "MITORCH_STORAGE_URL": STORAGE_URL, "MITORCH_DB_NAME": "mitorch"}
WithCluster = Callable[..., RemoteBackend]

_numbers = itertools.count()


class AzureSuite:
    """A workspace of its own for each test, and backends for its cluster."""

    sdk = "v1"

    @pytest.fixture
    def workspace(self, azure: Emulator) -> Iterator[str]:
        """A workspace of its own for each test, with a cluster of four nodes."""
        name = f"workspace-{next(_numbers)}"
        azure.add_workspace(name)
        azure.add_compute(workspace=name, max_nodes=4)
        yield name
        azure.faults.clear()
        azure.configure(latency=0.0, hold=False, kill_grace=5.0, page_size=100, history_lag=0.0)
        azure.configure(preemption_words="The node was preempted.")
        for run in azure.runs():
            if run["status"] not in ("Completed", "Failed", "Canceled"):
                azure.cancel(run["runId"])

    @pytest.fixture
    def run(self, workspace: str) -> str:
        """A name that no other test has: the emulator has one list of runs."""
        return f"run-{workspace}"

    @pytest.fixture
    def with_cluster(self, worker: Worker, workspace: str, tmp_path: Path) -> WithCluster:
        """Makes backends for the workspace's cluster, the settings changed as given; their nodes run any command."""

        def make(commands: bool = True, **changes: Any) -> RemoteBackend:
            settings = {"sdk": self.sdk, "name": COMPUTE, "workspace": workspace, **changes}
            return worker.backend(tmp_path / "home", commands, SECRETS, **settings)

        return make

    @pytest.fixture
    def backend(self, with_cluster: WithCluster) -> Backend:
        return with_cluster()


class AzureBackendContract(AzureSuite, ExecutionContract):
    """A subclass for each SDK."""

    @pytest.fixture
    def backend_with(self, azure: Emulator, workspace: str, with_cluster: WithCluster) -> Callable[[int], Backend]:
        def make(slots: int) -> Backend:
            azure.add_compute(workspace=workspace, max_nodes=slots)
            return with_cluster()

        return make

    def test_a_run_is_described_from_its_submission_to_its_end(
        self, backend: Backend, run: str, tmp_path: Path
    ) -> None:
        gate = tmp_path / "gate"
        where = backend.submit(RunRequest(run, shell(f"echo in; until [ -e {gate} ]; do sleep 0.01; done; echo out")))
        assert where is not None
        assert where.startswith(f"https://ml.azure.com/runs/{run}?")
        wait_for(backend, run, [RunState.RUNNING])
        status = backend.describe([run])[run]
        assert status is not None
        assert (status.word, status.url) == ("Running", where)
        assert status.since is not None
        eventually(lambda: backend.logs(run) == "in\n")
        gate.touch()
        assert wait_for(backend, run, ENDED) == RunState.SUCCEEDED
        assert backend.describe([run]) == {run: RunStatus(RunState.SUCCEEDED, exit_code=0)}
        assert backend.logs(run) == "in\nout\n"
        assert backend.logs(run, max_bytes=3) == "ut\n"

    def test_a_run_that_a_signal_ends_was_killed(self, backend: Backend, run: str) -> None:
        backend.submit(RunRequest(run, python("import os; os.kill(os.getpid(), 9)")))
        assert wait_for(backend, run, ENDED) == RunState.KILLED

    def test_the_request_is_the_whole_of_it_and_holds_no_secret(self, with_cluster: WithCluster) -> None:
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

    def test_many_runs_are_described_with_one_listing(self, azure: Emulator, backend: Backend, run: str) -> None:
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

    def test_a_listing_that_lags_behind_hides_no_run(self, azure: Emulator, backend: Backend, run: str) -> None:
        backend.submit(RunRequest(run, shell("exit 0")))
        wait_for(backend, run, ENDED)
        azure.faults.replace({"value": [], "continuationToken": None}, operation="run.query")
        assert backend.describe([run, "nobody"])[run] == RunStatus(RunState.SUCCEEDED, exit_code=0)

    def test_a_run_that_vanished_is_unknown(self, azure: Emulator, backend: Backend, run: str) -> None:
        backend.submit(RunRequest(run, SLEEP))
        wait_for(backend, run, [RunState.RUNNING])
        azure.vanish(run)
        assert backend.describe([run]) == {run: None}

    def test_a_status_that_nobody_knows_is_waited_for(self, azure: Emulator, backend: Backend, run: str) -> None:
        azure.configure(hold=True)
        backend.submit(RunRequest(run, SLEEP))
        azure.finish(run, "Paused")
        assert state(backend, run) == RunState.UNKNOWN

    def test_a_run_that_another_pass_has_submitted_meanwhile_is_adopted(
        self, azure: Emulator, workspace: str, with_cluster: WithCluster, run: str
    ) -> None:
        one, other = with_cluster(), with_cluster()
        first = one.submit(RunRequest(run, shell("exit 0")))
        azure.faults.replace({"value": [], "continuationToken": None}, operation="run.query")  # it has not seen it yet
        assert other.submit(RunRequest(run, shell("exit 0"))) == first
        wait_for(one, run, ENDED)
        assert starts(azure, workspace) == {run: 1}

    def test_a_service_that_is_down_is_asked_again_later(self, azure: Emulator, backend: Backend) -> None:
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

    def test_a_token_that_has_expired_is_renewed(self, azure: Emulator, backend: Backend, run: str) -> None:
        backend.submit(RunRequest(run, shell("exit 0")))
        for call in (lambda: backend.describe([run]), backend.capacity, lambda: backend.logs(run)):
            azure.expire_tokens()
            call()
        azure.expire_tokens()
        backend.submit(RunRequest(f"{run}-2", shell("exit 0")))
        assert wait_for(backend, f"{run}-2", ENDED) == RunState.SUCCEEDED

    def test_a_missing_role_is_said(self, azure: Emulator, backend: Backend) -> None:
        assert backend.capacity() == Capacity(4, 4)
        azure.faults.status(403, {"error": {"code": "Forbidden", "message": "no"}}, operation="run.query", count=None)
        with pytest.raises(BackendError, match="role") as caught:
            backend.describe(["nobody"])
        assert not isinstance(caught.value, BackendUnavailable)

    def test_a_preempted_run_waits_again_or_was_killed(self, azure: Emulator, backend: Backend, run: str) -> None:
        backend.submit(RunRequest(run, SLEEP))
        wait_for(backend, run, [RunState.RUNNING])
        azure.configure(hold=True)
        azure.preempt(run)
        assert wait_for(backend, run, [RunState.PENDING]) == RunState.PENDING
        azure.configure(hold=False)
        wait_for(backend, run, [RunState.RUNNING])
        azure.configure(preemption_words="Der Knoten wurde entzogen.")  # which no program can rely on
        azure.preempt(run, then="fail")
        wait_for(backend, run, ENDED)
        status = backend.describe([run])[run]
        assert status is not None
        assert (status.reason, status.exit_code, status.guessed) == ("Der Knoten wurde entzogen.", None, True)

    def test_a_run_that_exists_already_is_adopted_even_if_history_shows_it_late(
        self, azure: Emulator, workspace: str, with_cluster: WithCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Another pass has submitted the runs and died before it could record them; it may have had other code."""
        azure.configure(hold=True, history_lag=3600)
        store, trainings = SqliteStore(None), [a_training() for _ in range(3)]
        store.queue.add_trainings(trainings)
        store.queue.claim_trainings([(one.id, an_attempt(one, cluster=COMPUTE)) for one in trainings])
        died, backend = with_cluster(), with_cluster()
        names = [run_name(one.id, 1) for one in trainings]
        died.submit_all([RunRequest(name, shell("exit 0")) for name in names])
        monkeypatch.setattr(backend, "prepare", lambda id, attempt, _: RunRequest(run_name(id, attempt), SLEEP))
        controller = Controller(store, {COMPUTE: backend}, [LocalCluster(name=COMPUTE)])
        for seconds in (300, 600):
            controller.tick(later(seconds))
            rows = store.queue.active_trainings().items
            assert [row.attempts[-1].outcome for row in rows] == [None] * 3
        azure.configure(history_lag=0.0)
        controller.tick(later(900))
        attempts = [store.trainings.get_training(one.id).attempts[0] for one in trainings]
        assert all(name in str(attempt.url) for name, attempt in zip(names, attempts, strict=True))
        assert all(attempt.submitted_at is not None for attempt in attempts)
        assert starts(azure, workspace) == Counter(dict.fromkeys(names, 0))
        store.close()

    def test_a_history_that_is_away_is_an_error_and_no_loss(self, azure: Emulator, backend: Backend, run: str) -> None:
        azure.configure(hold=True)
        backend.submit(RunRequest(run, SLEEP))
        azure.faults.status(404, "no such service", path="/history/", count=None)
        with pytest.raises(BackendError, match="no such service"):
            backend.describe([run])
        azure.faults.clear()
        assert state(backend, run) == RunState.PENDING

    def test_a_run_that_somebody_cancels_in_the_studio_was_canceled(
        self, azure: Emulator, backend: Backend, run: str
    ) -> None:
        azure.configure(hold=True)
        backend.submit(RunRequest(run, SLEEP))
        azure.cancel(run)
        status = backend.describe([run])[run]
        assert status is not None
        assert (status.state, status.canceled) == (RunState.KILLED, True)

    def test_a_service_that_asks_for_patience_gets_little(self, azure: Emulator, backend: Backend, run: str) -> None:
        assert backend.capacity() == Capacity(4, 4)
        begin = time.monotonic()
        for operation in ("run.query", "compute.get"):
            azure.faults.status(429, "slow down", headers={"Retry-After": "120"}, operation=operation, count=None)
        for call in (lambda: backend.describe([run]), backend.capacity):
            with pytest.raises(BackendUnavailable):
                call()
        assert time.monotonic() - begin < 30

    def test_a_silent_run_is_ended_before_the_next_attempt_begins(
        self, azure: Emulator, workspace: str, backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        alive = tmp_path / "alive"  # told by a run that does not end when it is asked to, as one that is stopped
        command = shell(f"trap '' TERM; echo $$ >> {alive}; while :; do sleep 0.05; done")
        monkeypatch.setattr(
            backend, "prepare", lambda id, attempt, resources=None: RunRequest(run_name(id, attempt), command)
        )
        store, training = SqliteStore(None), a_training()
        store.queue.add_trainings([training])
        controller = Controller(store, {COMPUTE: backend}, [LocalCluster(name=COMPUTE, max_silence=600)])
        assert [event.text for event in controller.tick(NOW).events if event.failed] == []
        first, second = (run_name(training.id, number) for number in (1, 2))
        wait_for(backend, first, [RunState.RUNNING])
        eventually(alive.exists)
        store.runs.start_training(training.id, 1, "worker", NOW)
        azure.configure(kill_grace=0.4)
        controller.tick(later(600))  # its silence is noted
        for seconds in (900, 901):  # it is asked to end, and takes its time
            controller.tick(later(seconds))
            assert starts(azure, workspace) == {first: 1}
        assert wait_for(backend, first, ENDED) == RunState.KILLED
        for seconds in (902, 1300):
            controller.tick(later(seconds))
        wait_for(backend, second, [RunState.RUNNING])
        eventually(lambda: len(alive.read_text().split()) == 2)
        assert [_lives(int(pid)) for pid in alive.read_text().split()] == [False, True]
        row = store.trainings.get_training(training.id)
        assert [one.outcome for one in row.attempts] == [AttemptOutcome.LOST, None]
        assert "no sign of life" in (row.attempts[0].reason or "")
        assert starts(azure, workspace) == {first: 1, second: 1}
        store.close()

    def test_nodes_that_are_taken_waited_for_or_broken_are_not_free(
        self, azure: Emulator, workspace: str, backend: Backend, run: str
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
        self, azure: Emulator, workspace: str, with_cluster: WithCluster, run: str
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

    def test_a_run_may_have_a_compute_an_image_and_an_experiment_of_its_own(
        self, azure: Emulator, workspace: str, with_cluster: WithCluster
    ) -> None:
        azure.configure(hold=True)
        backend, name = with_cluster(commands=False), f"own-{workspace}"
        assert isinstance(backend, ComputeCreation)
        own = Resources(compute=name, image="acr.io/torch:1", experiment="pothole")
        request = backend.prepare(workspace, 1, own)
        with pytest.raises(BackendError, match=f"has no compute '{name}'"):
            backend.submit(request)
        profile = CreateProfile(vm_size="Standard_NC6", max_nodes=3)
        assert [backend.create_compute(name, profile) for _ in range(2)] == [True, False]
        with pytest.raises(BackendUnavailable, match=f"{name} is being created"):
            backend.submit(request)
        azure.add_compute(name, workspace, state="Succeeded")
        backend.submit(request)
        backend.submit(request)  # once only, in whatever experiment
        assert [run["target"] for run in azure.runs() if run["runId"] == request.name] == [name]
        assert backend.describe([request.name])[request.name] == RunStatus(RunState.PENDING)
        asked = [json.dumps(one) for one in azure.traffic() if request.name in one["path"] + str(one.get("body"))]
        assert any("pothole" in one for one in asked)
        assert any("acr.io/torch:1" in json.dumps(one) for one in azure.traffic())

    def test_a_workspace_that_is_down_fails_all_submissions_at_once(
        self, azure: Emulator, with_cluster: WithCluster
    ) -> None:
        azure.faults.drop_before(count=None)
        backend = with_cluster(commands=False)
        answers = backend.submit_all([backend.prepare(str(number), 1) for number in range(50)])
        assert all(isinstance(answer, BackendUnavailable) for answer in answers)

    def test_secrets_go_into_the_vault_once_and_nowhere_else(
        self, azure: Emulator, workspace: str, with_cluster: WithCluster, run: str
    ) -> None:
        backend = with_cluster()
        before = azure.moment()
        with calls(azure) as seen:
            for number in range(2):
                backend.submit(RunRequest(f"{run}-{number}", shell("exit 0")))
        assert sorted(azure.secrets(workspace).values()) == [STORAGE_URL, DB_URI]
        assert all(name.startswith("mitorch-") for name in azure.secrets(workspace))
        assert sum(count for name, count in seen.items() if name.startswith("secret")) <= 3
        with_cluster().submit(RunRequest(f"{run}-2", shell("exit 0")))  # another process finds them there
        for record in azure.traffic(before):
            if not record["operation"].startswith("secret"):
                assert "hunter" not in str(record), record["operation"]


@contextmanager
def calls(azure: Emulator) -> Iterator[Counter[str]]:
    """The operations that are asked for inside."""
    seen: Counter[str] = Counter()
    before = azure.moment()
    yield seen
    seen.update(record["operation"] for record in azure.traffic(before))


def at_once(azure: Emulator, since: int) -> int:
    """How many other calls were under way while a run was submitted, at most."""
    return max(
        int(record["beside"]) for record in azure.traffic(since) if record["operation"] in ("submit", "job.create")
    )


def starts(azure: Emulator, workspace: str) -> Counter[str]:
    """How often each run of a workspace was started on a node."""
    return Counter({r["runId"]: r["starts"] for r in azure.runs() if f"/workspaces/{workspace}/" in r["cancelUri"]})


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
