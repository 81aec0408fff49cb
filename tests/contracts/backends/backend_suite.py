"""The contract of a backend. Each implementation is a subclass of what it can do, with fixtures for the backends."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mitorch_service.backends.base import Backend, Capacity, RunRequest, RunStatus
from mitorch_service.errors import BackendError, NoCapacity
from mitorch_service.models.attempts.run_state import RunState
from mitorch_service.models.training import Resources, run_name
from tests.contracts.backends.local_cluster import eventually, shell, state, wait_for

ENDED = (RunState.SUCCEEDED, RunState.FAILED, RunState.KILLED)
SLEEP = ("/bin/sleep", "60")
WithSlots = Callable[[int], Backend]  # a backend with room for this number of runs: the fixture `backend_with`


class BackendContract:
    """The part of the contract that holds even for a backend that executes nothing."""

    def test_a_request_is_a_value_named_after_the_attempt(self, backend_with: WithSlots) -> None:
        backend = backend_with(1)
        request = backend.prepare("d0c5", 2)
        assert request == backend.prepare("d0c5", 2)
        assert request.name == run_name("d0c5", 2)
        assert request.command[-4:] == ("run", "d0c5", "--attempt", "2")
        assert backend.describe([request.name]) == {request.name: None}  # nothing was started by it

    def test_an_unknown_run_has_no_status_no_log_and_may_be_canceled(self, backend_with: WithSlots) -> None:
        backend = backend_with(1)
        assert backend.describe([]) == {}
        assert backend.describe(["nobody"]) == {"nobody": None}
        assert backend.logs("nobody") == ""
        backend.cancel("nobody")
        assert backend.describe(["nobody"]) == {"nobody": None}

    def test_a_submission_may_be_repeated(self, backend_with: WithSlots) -> None:
        backend = backend_with(1)
        first = backend.submit(RunRequest("run", SLEEP))
        eventually(lambda: state(backend, "run") == RunState.RUNNING)
        assert backend.submit(RunRequest("run", SLEEP)) == first
        assert backend.capacity() == Capacity(1, 0)

    def test_a_canceled_run_ends_once_and_frees_its_slot(self, backend_with: WithSlots) -> None:
        backend = backend_with(1)
        backend.submit(RunRequest("run", SLEEP))
        eventually(lambda: state(backend, "run") == RunState.RUNNING)
        backend.cancel("run")
        backend.cancel("run")
        eventually(lambda: state(backend, "run") == RunState.KILLED)
        before = backend.describe(["run"])
        backend.cancel("run")
        assert backend.describe(["run"]) == before
        assert backend.capacity() == Capacity(1, 1)
        backend.submit(RunRequest("run", SLEEP))  # its name is used up
        assert state(backend, "run") == RunState.KILLED


class SlotContract:
    """A cluster of a fixed number of slots, one node each."""

    def test_a_request_asks_for_what_the_training_needs(self, backend_with: WithSlots) -> None:
        backend = backend_with(1)
        plain, big = backend.prepare("d0c5", 2), backend.prepare("d0c5", 2, Resources(nodes=2, gpus=4, memory=16))
        assert (plain.nodes, plain.gpus) == (1, None)
        assert (big.nodes, big.gpus) == (2, 4)
        assert big.command == plain.command

    def test_a_cluster_with_too_few_nodes_does_not_start_half_a_run(self, backend_with: WithSlots) -> None:
        backend = backend_with(1)
        with pytest.raises(BackendError):
            backend.submit(RunRequest("run", SLEEP, nodes=2))
        assert backend.describe(["run"]) == {"run": None}
        assert backend.capacity() == Capacity(1, 1)

    def test_a_full_cluster_takes_no_more(self, backend_with: WithSlots) -> None:
        backend = backend_with(1)
        backend.submit(RunRequest("run", SLEEP))
        with pytest.raises(NoCapacity):
            backend.submit(RunRequest("other", SLEEP))
        assert backend.describe(["other"]) == {"other": None}


class ExecutionContract(BackendContract):
    """A backend that executes commands."""

    def test_a_run_has_the_same_life_everywhere(self, backend_with: WithSlots, run: str) -> None:
        backend = backend_with(2)
        assert backend.describe([run]) == {run: None}
        request = RunRequest(run, shell("echo begun; exit 7"))
        where = backend.submit(request)
        assert backend.submit(request) == where
        wait_for(backend, run, ENDED)
        assert backend.describe([run, "nobody"]) == {
            run: RunStatus(RunState.FAILED, "it ended with exit code 7", 7),
            "nobody": None,
        }
        assert backend.logs(run) == "begun\n"
        backend.cancel(run)
        assert backend.submit(request) == where
        assert state(backend, run) == RunState.FAILED
