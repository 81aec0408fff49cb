"""One contract, whatever a run is started with: this machine, the first SDK of Azure ML, or the second.

What is imported here is what the others run too: `test_backend_basics.py` on this machine and on the fake,
`test_azureml_backend.py` on the first SDK. Here it runs on the second; and what one SDK has begun goes on with the
other.
"""

# ruff: noqa: F811 - fixtures are imported, and then taken as arguments

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mitorch_service.backends.base import Backend, RunRequest, RunStatus
from mitorch_service.models.run_state import RunState
from tests.azureml_emulator.client import COMPUTE, Emulator
from tests.azureml_worker import Worker
from tests.contracts.local_cluster import LocalCluster, shell, state, wait_for
from tests.contracts.test_azureml_backend import (  # noqa: F401 - fixtures, and tests to run here
    ENDED,
    SECRETS,
    SLEEP,
    WithCluster,
    azure,
    backend,
    backend_with,
    run,
    starts,
    test_a_cluster_is_created_when_it_is_first_needed,
    test_a_listing_that_lags_behind_hides_no_run,
    test_a_missing_role_is_said,
    test_a_preempted_run_waits_again_or_was_killed,
    test_a_run_is_described_from_its_submission_to_its_end,
    test_a_run_that_a_signal_ends_was_killed,
    test_a_run_that_another_pass_has_submitted_meanwhile_is_adopted,
    test_a_run_that_vanished_is_unknown,
    test_a_service_that_is_down_is_asked_again_later,
    test_a_status_that_nobody_knows_is_waited_for,
    test_a_token_that_has_expired_is_renewed,
    test_a_workspace_that_is_down_fails_all_submissions_at_once,
    test_many_runs_are_described_with_one_listing,
    test_nodes_that_are_taken_waited_for_or_broken_are_not_free,
    test_secrets_go_into_the_vault_once_and_nowhere_else,
    test_the_request_is_the_whole_of_it_and_holds_no_secret,
    worker,
    workspace,
)
from tests.contracts.test_backend_basics import (  # noqa: F401 - the same
    test_a_canceled_run_ends_once_and_frees_its_slot,
    test_a_request_is_a_value_named_after_the_attempt,
    test_a_submission_may_be_repeated,
    test_an_unknown_run_has_no_status_no_log_and_may_be_canceled,
)


@pytest.fixture
def with_cluster(worker: Worker, workspace: str, tmp_path: Path) -> WithCluster:
    """Makes backends as the first SDK's tests do, through the second unless `sdk` says another."""

    def make(commands: bool = True, **changes: Any) -> Backend:
        settings = {"sdk": "v2", "name": COMPUTE, "workspace": workspace, **changes}
        return worker.backend(tmp_path / "home", commands, SECRETS, **settings)

    return make


@pytest.mark.parametrize("kind", ["local", "v1", "v2"])
def test_a_run_has_the_same_life_everywhere(kind: str, with_cluster: WithCluster, run: str, tmp_path: Path) -> None:
    cluster = LocalCluster(tmp_path / "local")
    one = cluster.backend(slots=2) if kind == "local" else with_cluster(sdk=kind)
    assert one.describe([run]) == {run: None}
    request = RunRequest(run, shell("echo begun; exit 7"))
    where = one.submit(request)
    assert one.submit(request) == where
    wait_for(one, run, ENDED)
    assert one.describe([run, "nobody"]) == {
        run: RunStatus(RunState.FAILED, "it ended with exit code 7", 7),
        "nobody": None,
    }
    assert one.logs(run) == "begun\n"
    one.cancel(run)
    assert one.submit(request) == where
    assert state(one, run) == RunState.FAILED
    cluster.close()


@pytest.mark.parametrize(("first", "second"), [("v1", "v2"), ("v2", "v1")])
def test_what_one_sdk_has_begun_goes_on_with_the_other(
    azure: Emulator,
    workspace: str,
    with_cluster: WithCluster,
    run: str,
    first: str,
    second: str,
) -> None:
    begun, other = with_cluster(sdk=first), with_cluster(sdk=second)
    begun.submit(RunRequest(run, SLEEP))
    wait_for(other, run, [RunState.RUNNING])
    azure.faults.replace({"value": [], "continuationToken": None}, operation="run.query")  # it has not seen it yet
    where = other.submit(RunRequest(run, SLEEP))
    assert run in str(where)
    assert starts(azure, workspace) == {run: 1}
    other.cancel(run)
    assert wait_for(begun, run, ENDED) == RunState.KILLED
