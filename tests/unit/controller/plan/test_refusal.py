"""Whole passes on clusters that refuse to start runs: what becomes of the trainings, and of their attempts."""

from __future__ import annotations

from typing import Any

import pytest

from mitorch_service.backends.base import RunRequest
from mitorch_service.controller.loop import Controller
from mitorch_service.controller.pass_report import PassCount
from mitorch_service.controller.plan.cluster_backoff import BACKOFF
from mitorch_service.errors import BackendError, RunRefused
from mitorch_service.models.attempts.attempt_budgets import MAX_REFUSED_ATTEMPTS
from mitorch_service.models.status import AttemptOutcome, TrainingStatus
from mitorch_service.models.training import Resources, Training, run_name
from mitorch_service.stores.base import Store
from tests.fakes import FakeBackend, HookedStore
from tests.samples import NOW, a_training, an_attempt, later

FORBIDDEN = RunRefused("a", "the role is missing", "Give it.")
WRONG = RunRefused("a", "too many of everything", "Ask for less.", of_request=True)
BACKOFF_SECONDS = BACKOFF.total_seconds()


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend("a", slots=300)


@pytest.fixture
def controller(store: Store, backend: FakeBackend) -> Controller:
    return Controller(store, {"a": backend})


def queued(store: Store, number: int, **fields: Any) -> list[Training]:
    trainings = [a_training(**fields) for _ in range(number)]
    store.queue.add_trainings(trainings)
    return trainings


def statuses(store: Store, trainings: list[Training]) -> set[str]:
    return {store.trainings.get_training(training.id).status for training in trainings}


def test_what_a_cluster_refuses_goes_back_to_the_queue_and_one_a_rest_is_tried(
    store: Store, backend: FakeBackend, controller: Controller
) -> None:
    trainings = queued(store, 150)
    backend.refuses["mt-"] = FORBIDDEN
    report = controller.tick(NOW)
    assert report.count(PassCount.REFUSED) == 100  # what was asked together; the others were not claimed
    assert [event.text for event in report.events if event.failed] == [str(FORBIDDEN)]
    first = store.trainings.get_training(trainings[0].id)
    assert (first.status, first.attempt, first.attempts[0].outcome) == ("new", 1, AttemptOutcome.REFUSED)
    assert (first.attempts[0].submitted_at, first.attempts[0].reason) == (None, str(FORBIDDEN)[:-1])
    assert first.error is not None
    assert (first.error.type, first.error.message) == ("Refused", str(FORBIDDEN)[:-1])
    assert store.trainings.get_training(trainings[149].id).attempt == 0
    assert controller.tick(later(5)).events == []  # it rests
    assert controller.tick(later(BACKOFF_SECONDS)).count(PassCount.REFUSED) == 1
    backend.refuses.clear()
    assert controller.tick(later(2 * BACKOFF_SECONDS)).count(PassCount.LAUNCHED) == 1
    assert controller.tick(later(2 * BACKOFF_SECONDS + 5)).count(PassCount.LAUNCHED) == 148
    assert controller.tick(later(3 * BACKOFF_SECONDS)).count(PassCount.LAUNCHED) == 1  # the one that was refused twice
    assert statuses(store, trainings) == {"queued"}
    assert set(backend.starts.values()) == {1}
    assert len(backend.starts) == 150


def test_a_training_that_is_refused_too_often_fails_with_the_words(
    store: Store, backend: FakeBackend, controller: Controller
) -> None:
    (training,) = queued(store, 1)
    backend.refuses["mt-"] = FORBIDDEN
    at = 0.0
    for number in range(1, MAX_REFUSED_ATTEMPTS + 1):
        controller.tick(later(at))
        at += number * BACKOFF_SECONDS
    found = store.trainings.get_training(training.id)
    assert (found.status, found.attempt) == (TrainingStatus.FAILED, MAX_REFUSED_ATTEMPTS)
    assert found.error is not None
    assert f"refused {MAX_REFUSED_ATTEMPTS} times, which is the limit" in found.error.message
    assert str(FORBIDDEN)[:-1] in found.error.message
    assert backend.starts == {}
    store.queue.retry_training(training.id, later(at))
    backend.refuses.clear()
    controller.tick(later(at))
    assert backend.running() == [run_name(training.id, MAX_REFUSED_ATTEMPTS + 1)]


def test_another_cluster_takes_what_one_has_refused(store: Store, backend: FakeBackend) -> None:
    other = FakeBackend("b", slots=2)
    backend.slots, backend.refuses["mt-"] = 3, FORBIDDEN
    trainings = queued(store, 2)
    controller = Controller(store, {"a": backend, "b": other})
    controller.tick(NOW)
    assert backend.running() + other.running() == []
    controller.tick(later(1))
    assert other.running() == [run_name(training.id, 2) for training in trainings]


def test_nobody_takes_the_place_of_one_that_was_meant_for_a_cluster_which_has_just_refused(
    store: Store, backend: FakeBackend
) -> None:
    other = FakeBackend("b", slots=1)
    backend.slots = 2
    controller = Controller(store, {"a": backend, "b": other})
    claimed, *_ = queued(store, 3)
    store.queue.claim_trainings([(claimed.id, an_attempt(claimed, cluster="a"))])
    backend.refuses["mt-"] = FORBIDDEN
    controller.tick(NOW)  # submits what a dead pass has claimed: refused
    assert backend.running() + other.running() == []
    controller.tick(later(1))
    assert other.running() == [run_name(claimed.id, 2)]


@pytest.mark.parametrize(("retries", "status"), [(0, TrainingStatus.FAILED), (1, TrainingStatus.NEW)])
def test_a_wrong_request_is_the_trainings_own_failure_where_others_are_taken(
    store: Store, backend: FakeBackend, controller: Controller, retries: int, status: TrainingStatus
) -> None:
    (wrong,) = queued(store, 1, max_retries=retries, resources=Resources(nodes=9))
    (right,) = queued(store, 1)
    backend.refuses[wrong.id] = WRONG
    report = controller.tick(NOW)
    found = store.trainings.get_training(wrong.id)
    assert (found.status, found.attempts[0].outcome) == (status, AttemptOutcome.FAILED)
    assert found.error is not None
    assert found.error.message == str(WRONG)[:-1]
    assert store.trainings.get_training(right.id).status == TrainingStatus.QUEUED
    assert (report.count(PassCount.FAILED), report.count(PassCount.REFUSED)) == (1, 0)


def test_a_wrong_request_where_nothing_is_taken_may_be_the_settings_fault(
    store: Store, backend: FakeBackend, controller: Controller
) -> None:
    trainings = queued(store, 3)
    backend.refuses["mt-"] = WRONG
    controller.tick(NOW)
    assert statuses(store, trainings) == {"new"}
    assert store.trainings.get_training(trainings[0].id).attempts[0].outcome == AttemptOutcome.REFUSED


def test_an_earlier_acceptance_says_nothing_of_the_settings_of_now(store: Store, backend: FakeBackend) -> None:
    """The submissions of a pass that was killed are found on the cluster: its other claims are refused, not failed."""
    trainings = queued(store, 2)
    store.queue.claim_trainings([(training.id, an_attempt(training, cluster="a")) for training in trainings])
    backend.submit(backend.prepare(trainings[0].id, 1))
    backend.refuses[trainings[1].id] = WRONG
    found = FakeBackend("a")
    found.submit_all = backend.submit_all  # type: ignore[method-assign]
    Controller(store, {"a": found}).tick(NOW)  # its listing lags behind
    assert [store.trainings.get_training(training.id).status for training in trainings] == ["queued", "new"]
    assert store.trainings.get_training(trainings[1].id).attempts[0].outcome == AttemptOutcome.REFUSED


def test_in_doubt_nothing_is_ended(store: Store, backend: FakeBackend, controller: Controller) -> None:
    """An error that may hide a run keeps the claim, and the run is asked for by the same name."""

    class Doubtful(FakeBackend):
        def submit(self, request: RunRequest) -> str | None:
            raise BackendError("a", "who knows", "Look.")

    (training,) = queued(store, 1)
    Controller(store, {"a": Doubtful("a")}).tick(NOW)
    assert store.trainings.get_training(training.id).status == TrainingStatus.QUEUED
    controller.tick(later(1))
    assert backend.starts == {run_name(training.id, 1): 1}


def test_one_that_was_to_be_canceled_is_canceled(store: Store, backend: FakeBackend) -> None:
    (training,) = queued(store, 1)

    class Canceling(FakeBackend):
        def submit(self, request: RunRequest) -> str | None:
            store.queue.request_cancel(training.id, NOW)
            raise FORBIDDEN

    Controller(store, {"a": Canceling("a")}).tick(NOW)
    assert store.trainings.get_training(training.id).status == TrainingStatus.CANCELED


def test_code_that_cannot_be_packed_refuses_all(store: Store) -> None:
    class Unpacked(FakeBackend):
        def prepare(self, training_id: str, attempt: int, resources: Resources | None = None) -> RunRequest:
            raise BackendError("a", "the code cannot be packed", "Make room.")

    trainings = queued(store, 2)
    Controller(store, {"a": Unpacked("a")}).tick(NOW)
    assert statuses(store, trainings) == {"new"}


def test_a_refused_attempt_whose_run_starts_after_all_is_taken_back(
    store: Store, backend: FakeBackend, controller: Controller
) -> None:
    """Another controller may have had it started meanwhile: its run goes on, and no second one is launched."""
    (training,) = queued(store, 1)
    backend.refuses["mt-"] = FORBIDDEN
    controller.tick(NOW)
    backend.refuses.clear()
    backend.submit(backend.prepare(training.id, 1))
    assert store.runs.start_training(training.id, 1, "worker", later(1)).status == TrainingStatus.RUNNING
    controller.tick(later(BACKOFF_SECONDS))
    assert backend.starts == {run_name(training.id, 1): 1}
    assert store.trainings.get_training(training.id).status == TrainingStatus.RUNNING


def test_a_refusal_is_not_written_over_a_run_that_has_begun(store: Store, backend: FakeBackend) -> None:
    (training,) = queued(store, 1)
    backend.refuses["mt-"] = FORBIDDEN

    def started_meanwhile(operation: str) -> None:
        row = store.trainings.get_training(training.id)
        if operation == "change" and row.status == TrainingStatus.QUEUED:
            store.runs.start_training(training.id, 1, "worker", NOW)

    Controller(HookedStore(store, started_meanwhile), {"a": backend}).tick(NOW)
    assert store.trainings.get_training(training.id).attempts[0].outcome is None
