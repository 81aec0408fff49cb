"""Azure ML through its second SDK: the contract, and what this SDK, and the service behind it, can do wrong."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from mitorch_service.backends.base import Backend, RunRequest
from mitorch_service.errors import BackendError, BackendUnavailable
from mitorch_service.models.attempts.run_state import RunState
from mitorch_service.models.training import Resources
from tests.azureml_emulator.client import PASSWORD, PRINCIPAL, TENANT, Emulator
from tests.azureml_worker import Worker
from tests.contracts.backends.azure_suite import AzureBackendContract, WithCluster, at_once, calls, starts
from tests.contracts.backends.backend_suite import ENDED, SLEEP
from tests.contracts.backends.local_cluster import shell, state, wait_for

NOBODY = "77777777-0000-0000-0000-000000000000"

ASKED = ("workspace.discovery", "workspace.get", "compute.get", "version.get")  # not heard: asked again
SENT = ("secret.set", "version.upload", "blob.put", "version.create", "job.create")  # done, but the answer is lost
REFUSED = ("blob.put", "job.create")  # by a service that is busy


class TestAzureMLV2(AzureBackendContract):
    sdk = "v2"

    @pytest.mark.parametrize(
        ("operation", "fault"),
        [
            *itertools.product((*ASKED, "job.create"), ["drop_before"]),
            *itertools.product(SENT, ["drop_after"]),
            *itertools.product(REFUSED, ["status"]),
        ],
    )
    def test_whatever_fails_once_a_submission_ends_in_one_run(
        self,
        azure: Emulator,
        workspace: str,
        backend: Backend,
        run: str,
        operation: str,
        fault: str,
    ) -> None:
        azure.configure(hold=True)
        where = {"operation": operation}
        number = (
            azure.faults.status(503, "busy", **where) if fault == "status" else getattr(azure.faults, fault)(**where)
        )
        request = RunRequest(run, shell("exit 0"))
        try:
            backend.submit(request)
        except BackendUnavailable:
            backend.submit(request)
        assert azure.faults.hits(number) == 1
        assert starts(azure, workspace) == {run: 0}
        assert state(backend, run) == RunState.PENDING

    def test_a_submission_that_did_not_arrive_may_be_repeated(
        self, azure: Emulator, backend: Backend, run: str
    ) -> None:
        azure.faults.drop_before(operation="job.create", count=None)
        with pytest.raises(BackendUnavailable, match="cannot be reached"):
            backend.submit(RunRequest(run, shell("exit 0")))
        assert backend.describe([run]) == {run: None}
        azure.faults.clear()
        backend.submit(RunRequest(run, shell("exit 0")))
        assert wait_for(backend, run, ENDED) == RunState.SUCCEEDED

    def test_a_job_of_the_name_that_is_another_one_is_adopted(
        self,
        azure: Emulator,
        workspace: str,
        backend: Backend,
        run: str,
    ) -> None:
        first = backend.submit(RunRequest(run, SLEEP))
        azure.faults.replace({"value": [], "continuationToken": None}, operation="run.query")  # it has not seen it yet
        with calls(azure) as seen:
            assert backend.submit(RunRequest(run, shell("exit 1"))) == first  # as after an update of the code
        assert seen["job.create"] == 1
        wait_for(backend, run, [RunState.RUNNING])
        assert starts(azure, workspace) == {run: 1}

    def test_the_code_is_uploaded_once_and_again_where_the_workspace_lost_it(
        self,
        azure: Emulator,
        workspace: str,
        with_cluster: WithCluster,
        run: str,
    ) -> None:
        azure.configure(hold=True)
        with calls(azure) as seen:
            for number in range(4):
                with_cluster().submit(RunRequest(f"{run}-{number}", shell("exit 0")))  # each as another pass would
        assert (seen["job.create"], seen["version.upload"]) == (4, 1)
        backend = with_cluster()
        backend.submit(RunRequest(f"{run}-4", shell("exit 0")))
        azure.faults.status(404, "It was not found: /codes/mitorch/versions/1", operation="job.create")
        azure.faults.status(404, "It was not found", operation="version.get")
        with calls(azure) as seen:
            backend.submit(RunRequest(f"{run}-5", shell("exit 0")))
        assert (seen["job.create"], seen["version.upload"]) == (2, 1)
        assert len(starts(azure, workspace)) == 6

    def test_code_that_cannot_be_uploaded_fails_all_submissions_at_once(
        self, azure: Emulator, with_cluster: WithCluster
    ) -> None:
        azure.faults.status(403, "no", operation="blob.put", count=None)
        backend = with_cluster(commands=False)
        with calls(azure) as seen:
            answers = backend.submit_all([backend.prepare(str(number), 1) for number in range(50)])
        assert all(isinstance(answer, BackendError) for answer in answers)
        assert "job.create" not in seen

    def test_a_cancel_whose_answer_is_lost_was_obeyed(self, azure: Emulator, backend: Backend, run: str) -> None:
        backend.submit(RunRequest(run, SLEEP))
        wait_for(backend, run, [RunState.RUNNING])
        azure.faults.drop_after(operation="job.cancel", count=None)
        backend.cancel(run)
        assert wait_for(backend, run, ENDED) == RunState.KILLED
        status = backend.describe([run])[run]
        assert status is not None
        assert status.reason == "it was canceled on Azure"

    def test_a_cancel_that_did_not_arrive_is_an_error(self, azure: Emulator, backend: Backend, run: str) -> None:
        backend.submit(RunRequest(run, SLEEP))
        wait_for(backend, run, [RunState.RUNNING])
        azure.faults.drop_before(operation="job.cancel", count=None)
        with pytest.raises(BackendUnavailable):
            backend.cancel(run)
        azure.faults.clear()
        backend.cancel(run)
        assert wait_for(backend, run, ENDED) == RunState.KILLED

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"auth": f"{TENANT}:{PRINCIPAL}:wr0ng"}, "sign-in failed.*Check tenant"),
            ({"auth": f"{TENANT}:{NOBODY}:{PASSWORD}"}, "sign-in failed"),
            ({"auth": f"99999999-{TENANT[9:]}:{PRINCIPAL}:{PASSWORD}"}, "sign-in failed"),
            ({"workspace": "no-such"}, "no-such.*was not found.*Correct subscription_id"),
            (
                {"workspace": "no-such", "resource_group": None},
                "no workspace of the sub.* is called 'no-such'",
            ),
            ({"subscription_id": TENANT}, "was not found"),
            ({"compute": "no-such"}, "no compute 'no-such'.*allow its creation"),
        ],
    )
    def test_what_is_wrong_in_the_settings_is_said_with_the_remedy(
        self,
        with_cluster: WithCluster,
        changes: dict[str, str],
        words: str,
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
        azure.configure(hold=True)
        backend = with_cluster(commands=False)
        request = backend.prepare(workspace, 1, Resources(nodes=2, gpus=0))
        backend.submit(request)
        job = azure.run(request.name)["definition"]["Configuration"]
        assert job["resources"]["instanceCount"] == 2
        assert job["distribution"] == {"distributionType": "PyTorch", "processCountPerInstance": 1}

    def test_a_job_says_what_the_request_says_and_no_more(
        self, azure: Emulator, workspace: str, with_cluster: WithCluster
    ) -> None:
        azure.configure(hold=True)
        backend = with_cluster(commands=False)
        request: Any = backend.prepare(f"plain-{workspace}", 3)
        backend.submit(request)
        job = azure.run(request.name)["definition"]["Configuration"]
        assert job["command"] == f"exec python node_entry.py run plain-{workspace} --attempt 3"
        assert (job["experimentName"], job["tags"]) == ("mitorch", request.tags)
        vault = f"https://kv{workspace}.vault.azure.net"
        assert job["environmentVariables"] == {**request.variables, "MITORCH_VAULT": vault}
        assert job["computeId"].endswith(f"/computes/{request.compute}")
        assert job["properties"] == {}  # nothing of the repository that this process stands in
        assert "distribution" not in job

    @pytest.mark.parametrize(
        ("environment", "gpus", "expected"),
        [
            (None, 0, "/environments/mitorch/versions/"),
            (None, 1, "/environments/mitorch-gpu/versions/"),
            ("registry.example/image:1", 1, "/environments/mitorch-image/versions/"),
            ("AzureML-pytorch", 1, "azureml:AzureML-pytorch@latest"),
            ("AzureML-pytorch:7", 1, "azureml:AzureML-pytorch:7"),
        ],
    )
    def test_the_environment_is_registered_once(
        self,
        azure: Emulator,
        workspace: str,
        with_cluster: WithCluster,
        run: str,
        environment: str | None,
        gpus: int,
        expected: str,
    ) -> None:
        azure.configure(hold=True)
        for number in range(2):
            with_cluster(environment=environment, gpus=gpus).submit(RunRequest(f"{run}-{number}", shell("exit 0")))
            job = azure.run(f"{run}-{number}")["definition"]["Configuration"]
            assert expected in job["environmentId"]
        versions = [v for kept in azure.assets(workspace).get("v2/environments", {}).values() for v in kept.values()]
        assert len(versions) == (0 if "AzureML" in expected else 1)
        if environment is None:
            assert ("cuda" in versions[0]["properties"]["image"]) == (gpus > 0)

    def test_many_are_submitted_at_once_and_one_that_fails_stops_no_other(
        self,
        azure: Emulator,
        with_cluster: WithCluster,
        workspace: str,
    ) -> None:
        azure.configure(hold=True)
        backend = with_cluster(commands=False)
        requests = [backend.prepare(f"{workspace}-{number}", 1) for number in range(12)]
        azure.faults.delay(2.0, operation="job.create", count=None)  # long enough for all to meet on a busy machine
        azure.faults.status(400, {"error": {"message": "not this one"}}, path=f"jobs/{requests[5].name}", count=None)
        before = azure.moment()
        with calls(azure) as seen:
            answers = backend.submit_all(requests)
        assert isinstance(answers[5], BackendError)
        assert "not this one" in str(answers[5])
        assert [isinstance(answer, str) for answer in answers].count(True) == 11
        assert at_once(azure, before) > 4
        assert seen["version.upload"] == 1
        assert backend.submit_all(requests[:2]) == answers[:2]

    def test_the_sdk_says_nothing_and_asks_only_azure(
        self, azure: Emulator, worker: Worker, backend: Backend, run: str
    ) -> None:
        backend.submit(RunRequest(run, shell("exit 0")))
        wait_for(backend, run, ENDED)
        assert worker.log.read_text() == ""
        assert azure.refused() == []
        # runs of other tests look for the database of their settings
        assert [host for host in azure.left_loopback() if host != "db.example"] == []
