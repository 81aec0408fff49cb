"""A submission that is refused, on this machine and through both SDKs of Azure ML: told apart from one that may have
been obeyed, and only where it is certain that there is no run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mitorch_service.backends.base import Backend, RunRequest
from mitorch_service.errors import BackendError, BackendUnavailable, RunRefused
from tests.azureml_emulator.client import Emulator
from tests.contracts.backends.azure_suite import AzureSuite, WithCluster, calls, starts
from tests.contracts.backends.local_cluster import LocalCluster, shell

SUBMIT = {"v1": "submit", "v2": "job.create"}
LOOK_UP = "run.get"
NOTHING = shell("exit 0")
PERMANENT = {400: True, 422: True, 413: True, 403: False, 404: False}  # whether it is the request's fault


def error(code: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": "the service's own words"}}


def refusal(backend: Backend, request: RunRequest) -> RunRefused:
    with pytest.raises(RunRefused) as caught:
        backend.submit(request)
    return caught.value


def test_this_machine_refuses_a_run_of_several_nodes(tmp_path: Path) -> None:
    cluster = LocalCluster(tmp_path)
    backend = cluster.backend(slots=2)
    told = refusal(backend, RunRequest("run", NOTHING, nodes=2))
    assert told.of_request
    assert "one node" in told.problem
    assert backend.describe(["run"]) == {"run": None}
    cluster.close()


def test_a_full_cluster_refuses_nothing(tmp_path: Path) -> None:
    cluster = LocalCluster(tmp_path)
    with pytest.raises(BackendUnavailable):
        cluster.backend(slots=0).submit(RunRequest("run", NOTHING))
    cluster.close()


class RefusalContract(AzureSuite):
    """A subclass for each SDK."""

    def test_a_permanent_error_is_a_refusal(self, azure: Emulator, workspace: str, backend: Backend, run: str) -> None:
        azure.configure(hold=True)
        for status, of_request in PERMANENT.items():
            name = f"{run}-{status}"
            azure.faults.status(status, error("UserError"), operation=SUBMIT[self.sdk], count=None)
            told = refusal(backend, RunRequest(name, NOTHING))
            assert "the service's own words" in told.problem
            assert (status, told.of_request) == (status, of_request)
            assert name not in starts(azure, workspace)
            azure.faults.clear()
            assert backend.submit(RunRequest(name, NOTHING)) is not None  # nothing stands in the way of another attempt

    def test_an_error_that_may_pass_is_no_refusal(self, azure: Emulator, backend: Backend, run: str) -> None:
        for status in (401, 408, 429, 500, 503):
            azure.faults.status(status, error("ServiceError"), operation=SUBMIT[self.sdk], count=None)
            with pytest.raises(BackendUnavailable):
                backend.submit(RunRequest(f"{run}-{status}", NOTHING))
            azure.faults.clear()

    @pytest.mark.parametrize("cut", ["drop_before", "drop_after"])
    def test_a_lost_answer_is_no_refusal(
        self, azure: Emulator, workspace: str, backend: Backend, run: str, cut: str
    ) -> None:
        """Whether it was obeyed is not known as long as nobody can be asked."""
        azure.configure(hold=True)
        getattr(azure.faults, cut)(operation=SUBMIT[self.sdk], count=None)
        azure.faults.drop_before(operation=LOOK_UP, count=None)
        with pytest.raises(BackendError) as caught:
            backend.submit(RunRequest(run, NOTHING))
        assert not isinstance(caught.value, RunRefused)
        azure.faults.clear()
        assert backend.submit(RunRequest(run, NOTHING)) is not None
        assert starts(azure, workspace) == {run: 0}

    def test_a_refusal_that_cannot_be_made_certain_is_none(
        self, azure: Emulator, workspace: str, backend: Backend, run: str
    ) -> None:
        backend.describe([run])
        azure.faults.status(403, error("Forbidden"), operation=SUBMIT[self.sdk], count=None)
        azure.faults.status(503, "busy", operation=LOOK_UP, count=None)
        with pytest.raises(BackendError) as caught:
            backend.submit(RunRequest(run, NOTHING))
        assert not isinstance(caught.value, RunRefused)

    def test_a_refusal_is_a_lie_where_the_run_is_there(
        self, azure: Emulator, workspace: str, backend: Backend, with_cluster: WithCluster, run: str
    ) -> None:
        """Another pass has submitted it since this one has looked."""
        azure.configure(hold=True)
        where = with_cluster().submit(RunRequest(run, NOTHING))
        azure.faults.replace({"value": [], "continuationToken": None}, operation="run.query", count=None)
        azure.faults.status(403, error("Forbidden"), operation=SUBMIT[self.sdk], count=None)
        assert backend.submit(RunRequest(run, NOTHING)) == where
        assert starts(azure, workspace) == {run: 0}

    def test_what_is_wrong_with_the_cluster_is_found_out_once(
        self, azure: Emulator, workspace: str, with_cluster: WithCluster
    ) -> None:
        backend = with_cluster(commands=False)
        requests = [backend.prepare(f"{workspace}-{number}", 1) for number in range(30)]
        there = backend.submit(requests[7])
        azure.faults.status(403, error("Forbidden"), operation=SUBMIT[self.sdk], count=None)
        with calls(azure) as seen:
            answers: list[Any] = backend.submit_all(requests)
        assert answers[7] == there
        refused = [answer for answer in answers if isinstance(answer, RunRefused) and not answer.of_request]
        assert len(refused) == 29
        assert seen[SUBMIT[self.sdk]] == 1

    def test_a_vault_that_takes_no_secrets_refuses_all_but_those_that_are_there(
        self, azure: Emulator, workspace: str, with_cluster: WithCluster
    ) -> None:
        before, backend = (with_cluster(commands=False) for _ in range(2))
        requests = [backend.prepare(f"{workspace}-{number}", 1) for number in range(3)]
        there = before.submit(requests[1])
        for operation in ("secret.get", "secret.set"):
            azure.faults.status(403, error("Forbidden"), operation=operation, count=None)
        answers: list[Any] = backend.submit_all(requests)
        assert answers[1] == there
        assert [isinstance(answer, RunRefused) for answer in answers] == [True, False, True]
        assert "role" in str(answers[0])

    def test_one_wrong_request_stops_no_other(self, azure: Emulator, workspace: str, with_cluster: WithCluster) -> None:
        azure.configure(hold=True)
        backend = with_cluster(commands=False)
        requests = [backend.prepare(f"{workspace}-{number}", 1) for number in range(5)]
        azure.faults.status(400, error("UserError"), operation=SUBMIT[self.sdk])  # the first
        answers: list[Any] = backend.submit_all(requests)
        assert isinstance(answers[0], RunRefused)
        assert answers[0].of_request
        assert all(isinstance(answer, str) for answer in answers[1:])

    def test_an_environment_that_is_not_there_is_the_settings_fault(
        self, azure: Emulator, workspace: str, with_cluster: WithCluster
    ) -> None:
        backend = with_cluster(commands=False, environment="tropch:3")
        told = refusal(backend, backend.prepare(workspace, 1))
        assert not told.of_request
        assert "tropch" in told.problem
        assert "environment in MITORCH_CLUSTERS" in told.remedy
        assert starts(azure, workspace) == {}


@pytest.mark.long
class TestAzureMLRefusals(RefusalContract):
    sdk = "v1"


class TestAzureMLV2Refusals(RefusalContract):
    sdk = "v2"
