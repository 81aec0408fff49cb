"""The part of a backend's contract that needs no real process: the fake of the controller's tests keeps it too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mitorch_service.backends.base import Backend, Capacity, RunRequest
from mitorch_service.errors import BackendError, NoCapacity
from mitorch_service.models.run_state import RunState
from mitorch_service.models.training import Resources, run_name
from tests.contracts.local_cluster import LocalCluster, eventually, state
from tests.fakes import FakeBackend

ENDED = (RunState.SUCCEEDED, RunState.FAILED, RunState.KILLED)
SLEEP = ("/bin/sleep", "60")
WithSlots = Callable[[int], Backend]


@pytest.fixture(params=["local", "fake"])
def backend_with(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[WithSlots]:
    cluster = LocalCluster(tmp_path / "home")
    yield lambda slots: FakeBackend(slots=slots) if request.param == "fake" else cluster.backend(slots)
    cluster.close()


def test_a_request_is_a_value_named_after_the_attempt(backend_with: WithSlots) -> None:
    backend = backend_with(1)
    assert backend.prepare("d0c5", 2) == backend.prepare("d0c5", 2)
    assert backend.prepare("d0c5", 2).name == run_name("d0c5", 2)


def test_a_request_asks_for_what_the_training_needs(backend_with: WithSlots) -> None:
    backend = backend_with(1)
    plain, big = backend.prepare("d0c5", 2), backend.prepare("d0c5", 2, Resources(nodes=2, gpus=4, memory=16))
    assert (plain.nodes, plain.gpus) == (1, None)
    assert (big.nodes, big.gpus) == (2, 4)
    assert big.command == plain.command


def test_a_cluster_with_too_few_nodes_does_not_start_half_a_run(backend_with: WithSlots) -> None:
    backend = backend_with(1)
    with pytest.raises(BackendError):
        backend.submit(RunRequest("run", SLEEP, nodes=2))
    assert backend.describe(["run"]) == {"run": None}
    assert backend.capacity() == Capacity(1, 1)


def test_an_unknown_run_has_no_status_no_log_and_may_be_canceled(backend_with: WithSlots) -> None:
    backend = backend_with(1)
    assert backend.describe(["nobody"]) == {"nobody": None}
    assert backend.logs("nobody") == ""
    backend.cancel("nobody")
    assert backend.describe(["nobody"]) == {"nobody": None}


def test_a_submission_may_be_repeated(backend_with: WithSlots) -> None:
    backend = backend_with(1)
    first = backend.submit(RunRequest("run", SLEEP))
    eventually(lambda: state(backend, "run") == RunState.RUNNING)
    assert backend.submit(RunRequest("run", SLEEP)) == first
    assert backend.capacity() == Capacity(1, 0)


def test_a_full_cluster_takes_no_more(backend_with: WithSlots) -> None:
    backend = backend_with(1)
    backend.submit(RunRequest("run", SLEEP))
    with pytest.raises(NoCapacity):
        backend.submit(RunRequest("other", SLEEP))
    assert backend.describe(["other"]) == {"other": None}


def test_a_canceled_run_ends_once_and_frees_its_slot(backend_with: WithSlots) -> None:
    backend = backend_with(1)
    backend.submit(RunRequest("run", SLEEP))
    eventually(lambda: state(backend, "run") == RunState.RUNNING)
    backend.cancel("run")
    backend.cancel("run")
    eventually(lambda: state(backend, "run") == RunState.KILLED)
    assert backend.capacity() == Capacity(1, 1)
    backend.submit(RunRequest("run", SLEEP))  # its name is used up
    assert state(backend, "run") == RunState.KILLED
