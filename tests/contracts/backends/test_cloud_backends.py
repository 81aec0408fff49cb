"""Both SDKs of Azure ML on one workspace: what one has begun, the other can finish."""

from __future__ import annotations

import pytest

from mitorch_service.backends.base import RunRequest
from mitorch_service.models.attempts.run_state import RunState
from tests.azureml_emulator.client import Emulator
from tests.contracts.backends.azure_suite import AzureSuite, WithCluster, starts
from tests.contracts.backends.backend_suite import ENDED, SLEEP
from tests.contracts.backends.local_cluster import wait_for


class TestBothSDKs(AzureSuite):
    @pytest.mark.parametrize(("first", "second"), [("v1", "v2"), ("v2", "v1")])
    def test_what_one_sdk_has_begun_goes_on_with_the_other(
        self,
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
        assert [one.name for one in other.live_runs()] == [run]
        azure.faults.replace({"value": [], "continuationToken": None}, operation="run.query")  # it has not seen it yet
        where = other.submit(RunRequest(run, SLEEP))
        assert run in str(where)
        assert starts(azure, workspace) == {run: 1}
        other.cancel(run)
        assert wait_for(begun, run, ENDED) == RunState.KILLED
        assert begun.live_runs() == []
