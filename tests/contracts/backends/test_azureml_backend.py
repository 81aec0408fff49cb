"""Azure ML through its first SDK: the contract, and what this SDK, and the service behind it, can do wrong."""

from __future__ import annotations

from typing import Any

import pytest

from mitorch_service.backends.base import Backend, RunRequest, RunStatus
from mitorch_service.errors import BackendError, BackendUnavailable, RunRefused
from mitorch_service.models.attempts.run_state import RunState
from mitorch_service.models.training import Resources
from tests.azureml_emulator.client import PASSWORD, PRINCIPAL, TENANT, Emulator
from tests.azureml_worker import Worker
from tests.contracts.backends.azure_suite import AzureBackendContract, WithCluster, at_once, calls, starts
from tests.contracts.backends.backend_suite import ENDED, SLEEP
from tests.contracts.backends.local_cluster import eventually, shell, state, wait_for

NOBODY = "77777777-0000-0000-0000-000000000000"


@pytest.mark.long
class TestAzureML(AzureBackendContract):
    sdk = "v1"

    @pytest.mark.parametrize("code", [3, 75])
    def test_a_run_that_fails_tells_its_exit_code(self, backend: Backend, run: str, code: int) -> None:
        backend.submit(RunRequest(run, shell(f"exit {code}")))
        wait_for(backend, run, ENDED)
        assert backend.describe([run])[run] == RunStatus(RunState.FAILED, f"it ended with exit code {code}", code)

    def test_a_lost_answer_to_the_submission_is_no_second_run(
        self, azure: Emulator, workspace: str, backend: Backend
    ) -> None:
        run = f"run-{workspace}"
        azure.faults.drop_after(operation="submit")
        where = backend.submit(RunRequest(run, shell("exit 0")))
        assert where is not None
        assert run in where
        wait_for(backend, run, ENDED)
        assert starts(azure, workspace) == {run: 1}

    @pytest.mark.parametrize("skip", [0, 1])
    def test_a_call_after_the_submission_that_fails_changes_nothing(
        self, azure: Emulator, workspace: str, backend: Backend, run: str, skip: int
    ) -> None:
        azure.faults.status(400, {"error": {"code": "UserError", "message": "no"}}, operation="run.patch", skip=skip)
        assert backend.submit(RunRequest(run, shell("exit 0"))) is not None
        wait_for(backend, run, ENDED)
        assert starts(azure, workspace) == {run: 1}
        assert state(backend, run) == RunState.SUCCEEDED  # though it may have no tags

    def test_a_submission_that_did_not_arrive_may_be_repeated(
        self, azure: Emulator, backend: Backend, run: str
    ) -> None:
        azure.faults.drop_before(operation="submit", count=None)
        with pytest.raises(BackendUnavailable, match="cannot be reached"):
            backend.submit(RunRequest(run, shell("exit 0")))
        assert backend.describe([run]) == {run: None}
        azure.faults.clear()
        backend.submit(RunRequest(run, shell("exit 0")))
        assert wait_for(backend, run, ENDED) == RunState.SUCCEEDED

    def test_the_code_is_uploaded_once_and_again_where_the_workspace_lost_it(
        self, azure: Emulator, backend: Backend, run: str
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

    def test_a_cancel_whose_answer_is_lost_was_obeyed(self, azure: Emulator, backend: Backend, run: str) -> None:
        backend.submit(RunRequest(run, SLEEP))
        wait_for(backend, run, [RunState.RUNNING])
        azure.faults.drop_after(operation="cancel", count=None)
        azure.faults.status(500, "no", operation="run.wait_for_metrics", count=None)
        backend.cancel(run)
        assert wait_for(backend, run, ENDED) == RunState.KILLED
        status = backend.describe([run])[run]
        assert status is not None
        assert status.reason == "it was canceled on Azure"

    def test_a_cancel_that_did_not_arrive_is_an_error(self, azure: Emulator, backend: Backend, run: str) -> None:
        backend.submit(RunRequest(run, SLEEP))
        wait_for(backend, run, [RunState.RUNNING])
        azure.faults.drop_before(operation="cancel", count=None)
        with pytest.raises(BackendUnavailable):
            backend.cancel(run)
        azure.faults.clear()
        backend.cancel(run)
        assert wait_for(backend, run, ENDED) == RunState.KILLED

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"auth": f"{TENANT}:{PRINCIPAL}:wr0ng"}, "sign-in failed"),
            ({"auth": f"{TENANT}:{NOBODY}:{PASSWORD}"}, "sign-in failed"),
            ({"auth": f"99999999-{TENANT[9:]}:{PRINCIPAL}:{PASSWORD}"}, "sign-in failed"),
            ({"workspace": "no-such"}, "Workspace not found"),
            (
                {"workspace": "no-such", "resource_group": None},
                "no workspace of the sub.* is called 'no-such'",
            ),
            ({"subscription_id": TENANT}, "subscription"),
            ({"compute": "no-such"}, "no compute 'no-such'.*allow its creation"),
        ],
    )
    def test_what_is_wrong_in_the_settings_is_said_with_the_remedy(
        self, with_cluster: WithCluster, changes: dict[str, str], words: str
    ) -> None:
        with pytest.raises(BackendError, match=words) as caught:
            with_cluster(**changes).capacity()
        assert not isinstance(caught.value, BackendUnavailable)
        assert "wr0ng" not in str(caught.value)
        assert PASSWORD not in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_the_five_variables_of_the_document_are_enough(self, with_cluster: WithCluster) -> None:
        assert with_cluster(resource_group=None, auth=f"{PRINCIPAL}:{PASSWORD}").capacity().total > 0

    def test_several_nodes_are_one_distributed_run(
        self, azure: Emulator, workspace: str, with_cluster: WithCluster
    ) -> None:
        backend = with_cluster(commands=False)
        request = backend.prepare(workspace, 1, Resources(nodes=2, gpus=0))
        backend.submit(request)
        first, second = (azure.folder / "runs" / request.name / f"user_logs/std_log_process_{n}.txt" for n in range(2))
        eventually(lambda: second.exists() and "process 1 of 2 joins" in second.read_text())
        assert state(backend, request.name) == RunState.RUNNING  # its first process looks for a database
        assert "process 0" not in first.read_text()
        config = azure.run(request.name)["definition"]["Configuration"]
        assert (config["nodeCount"], config["communicator"].lower(), config["framework"]) == (2, "gloo", "PyTorch")
        assert config["pytorch"]["processCount"] == 2
        backend.cancel(request.name)

    def test_the_environment_is_ours_an_image_or_a_registered_one(
        self, azure: Emulator, workspace: str, with_cluster: WithCluster, run: str
    ) -> None:
        azure.configure(hold=True)

        def submitted(name: str, environment: str | None, **changes: Any) -> dict[str, Any]:
            backend = with_cluster(commands=False, environment=environment, **changes)
            backend.submit(request := backend.prepare(name, 1))
            found: dict[str, Any] = azure.run(request.name)["definition"]["Configuration"]["environment"]
            return found

        ours = submitted(f"{run}-ours", None)
        packages = str(ours["python"]["condaDependencies"]["dependencies"])
        assert (ours["name"], "python=3.11" in packages, "torch==" in packages) == ("mitorch-gpu", True, True)
        assert "cuda" in ours["docker"]["baseImage"]
        on_cpus = submitted(f"{run}-cpu", None, gpus=0)
        assert (on_cpus["name"], "cuda" in on_cpus["docker"]["baseImage"]) == ("mitorch", False)
        image = submitted(f"{run}-image", "registry.example/image:1")
        assert image["docker"]["baseImage"] == "registry.example/image:1"
        with pytest.raises(RunRefused, match="AzureML-pytorch"):
            submitted(f"{run}-none", "AzureML-pytorch:7")
        assert len(starts(azure, workspace)) == 3
        curated = {**ours, "name": "AzureML-pytorch", "version": "7"}
        azure.faults.status(200, curated, operation="environment.get", count=None)
        named = submitted(f"{run}-curated", "AzureML-pytorch:7")
        assert (named["name"], named["version"]) == ("AzureML-pytorch", "7")

    def test_many_are_submitted_at_once_and_one_that_fails_stops_no_other(
        self, azure: Emulator, with_cluster: WithCluster, workspace: str
    ) -> None:
        azure.configure(hold=True)
        backend = with_cluster(commands=False)
        requests = [backend.prepare(f"{workspace}-{number}", 1) for number in range(12)]
        azure.faults.delay(2.0, operation="submit", count=None)  # long enough for all to meet on a busy machine
        azure.faults.status(400, {"error": {"message": "not this one"}}, path=requests[5].name, count=None)
        before = azure.moment()
        with calls(azure) as seen:
            answers = backend.submit_all(requests)
        assert isinstance(answers[5], BackendError)
        assert [isinstance(answer, str) for answer in answers].count(True) == 11
        assert all(
            request.name in str(answer)
            for request, answer in zip(requests, answers, strict=True)
            if answer is not answers[5]
        )
        assert at_once(azure, before) > 4
        assert seen["snapshot.create"] == 1
        assert backend.submit_all(requests[:2]) == answers[:2]

    def test_the_sdk_says_nothing_and_asks_only_azure(
        self, azure: Emulator, worker: Worker, backend: Backend, run: str
    ) -> None:
        backend.submit(RunRequest(run, shell("exit 0")))
        assert worker.log.read_text() == ""
        assert azure.refused() == []
