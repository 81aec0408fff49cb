"""A training's epochs on their way into the store: in order, none lost, and never waited for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from mitorch_service.errors import StaleAttempt, StoreUnavailable
from mitorch_service.models.status import AttemptOutcome, TrainingStatus
from mitorch_service.models.training import TrainingErrorInfo
from mitorch_service.runs.store_reporter import StoreReporter
from mitorch_service.stores.base import Store
from mitorch_service.training.loop.reporter import TrainingPlan
from tests.fakes import HookedStore
from tests.samples import NOW, a_result, a_training, an_attempt, later

PATIENCE = 20.0
Reporting = Callable[[Store], StoreReporter]


@pytest.fixture
def training_id(store: Store) -> str:
    """A training whose first attempt runs."""
    training = a_training()
    store.queue.add_trainings([training])
    store.queue.claim_training(training.id, an_attempt(training))
    store.runs.start_training(training.id, 1, "worker", NOW)
    return training.id


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


@pytest.fixture
def reporting(training_id: str, stop: threading.Event) -> Iterator[Reporting]:
    """Makes reporters of the attempt, and ends them."""
    made: list[StoreReporter] = []

    def make(store: Store) -> StoreReporter:
        made.append(StoreReporter(store, training_id, 1, 5, lambda: later(9), stop))
        return made[-1]

    yield make
    for reporter in made:
        reporter.close()


def unavailable(times: int) -> Callable[[str], None]:
    """A database that does not take the first changes."""
    left = times

    def before(operation: str) -> None:
        nonlocal left
        if operation == "change" and left > 0:
            left -= 1
            raise StoreUnavailable("at db", "does not answer", "Wait.")

    return before


def epochs(store: Store, training_id: str) -> list[int]:
    """The recorded epochs."""
    return [result.epoch for result in store.runs.curve(training_id).items]


def test_every_epoch_is_recorded_and_the_last_is_the_progress(
    store: Store, training_id: str, reporting: Reporting
) -> None:
    reporter = reporting(store)
    for epoch in (1, 2, 3):
        reporter.epoch_ended(a_result(epoch))
    reporter.flush(PATIENCE)
    assert store.runs.curve(training_id).items == [a_result(epoch) for epoch in (1, 2, 3)]
    progress = store.trainings.get_training(training_id).progress
    assert progress is not None
    assert (progress.epoch, progress.max_epochs, progress.at) == (3, 5, later(3))
    assert not reporter.should_stop()


def test_epochs_wait_in_order_while_the_database_does_not_answer(
    store: Store, training_id: str, reporting: Reporting
) -> None:
    order: list[int] = []

    def before(operation: str) -> None:
        fail(operation)
        if operation == "put":
            order.append(len(epochs(store, training_id)))

    fail = unavailable(times=2)
    reporter = reporting(HookedStore(store, before))
    for epoch in (1, 2, 3):
        reporter.epoch_ended(a_result(epoch))
    assert not reporter.should_stop()  # and the training went on meanwhile
    reporter.flush(PATIENCE)
    assert epochs(store, training_id) == [1, 2, 3]
    assert order == [0, 1, 2]
    assert store.trainings.get_training(training_id).progress is not None


def test_an_answer_that_was_lost_after_half_of_the_writing_does_no_harm(
    store: Store, training_id: str, reporting: Reporting
) -> None:
    failed = False

    def before(operation: str) -> None:
        nonlocal failed
        if operation == "put" and not failed:
            failed = True
            raise StoreUnavailable("at db", "does not answer", "Wait.")

    reporter = reporting(HookedStore(store, before))
    reporter.epoch_ended(a_result(1))
    reporter.flush(PATIENCE)
    assert failed
    assert epochs(store, training_id) == [1]


def test_a_flush_has_an_end_of_its_patience(store: Store, reporting: Reporting) -> None:
    reporter = reporting(HookedStore(store, unavailable(times=10**9)))
    reporter.epoch_ended(a_result(1))
    with pytest.raises(StoreUnavailable, match="did not take them for 0 s"):
        reporter.flush(0.05)


def test_a_flush_with_nothing_to_write_is_done_at_once(store: Store, reporting: Reporting) -> None:
    reporter = reporting(HookedStore(store, unavailable(times=10**9)))
    reporter.flush(PATIENCE)
    assert not reporter.should_stop()


def test_an_attempt_that_is_not_current_any_more_stops_and_writes_nothing(
    store: Store, training_id: str, reporting: Reporting, stop: threading.Event
) -> None:
    lost = TrainingErrorInfo(type="Lost", message="no sign of life")
    store.queue.end_attempt(training_id, 1, NOW, AttemptOutcome.LOST, TrainingStatus.NEW, lost)
    store.queue.claim_training(training_id, an_attempt(store.trainings.get_training(training_id), 2))
    reporter = reporting(store)
    for epoch in (1, 2):
        reporter.epoch_ended(a_result(epoch))
    with pytest.raises(StaleAttempt):
        reporter.flush(PATIENCE)
    assert reporter.should_stop()
    assert stop.is_set()
    assert epochs(store, training_id) == []
    assert store.trainings.get_training(training_id).progress is None


def test_an_attempt_that_was_declared_lost_wrongly_is_taken_back(
    store: Store, training_id: str, reporting: Reporting
) -> None:
    lost = TrainingErrorInfo(type="Lost", message="no sign of life")
    store.queue.end_attempt(training_id, 1, NOW, AttemptOutcome.LOST, TrainingStatus.NEW, lost)
    reporter = reporting(store)
    reporter.epoch_ended(a_result(1))
    reporter.flush(PATIENCE)
    row = store.trainings.get_training(training_id)
    assert (row.status, row.attempts[0].outcome) == (TrainingStatus.RUNNING, None)


def test_a_training_that_a_person_canceled_is_asked_to_stop_after_its_epoch(
    store: Store, training_id: str, reporting: Reporting
) -> None:
    reporter = reporting(store)
    store.queue.request_cancel(training_id, NOW)
    assert not reporter.should_stop()
    reporter.epoch_ended(a_result(1))
    reporter.flush(PATIENCE)
    assert reporter.should_stop()
    assert epochs(store, training_id) == [1]


def test_a_signal_from_outside_stops_the_training(store: Store, reporting: Reporting, stop: threading.Event) -> None:
    reporter = reporting(store)
    stop.set()
    assert reporter.should_stop()


def test_after_its_end_a_reporter_does_not_wait_for_the_database(
    store: Store, training_id: str, reporting: Reporting
) -> None:
    reporter = reporting(HookedStore(store, unavailable(times=10**9)))
    before = threading.active_count()
    reporter.epoch_ended(a_result(1))
    reporter.close()
    assert threading.active_count() == before - 1
    assert epochs(store, training_id) == []


def test_the_epochs_of_a_training_by_steps_are_known_once_it_has_read_its_data(
    store: Store, training_id: str, stop: threading.Event
) -> None:
    reporter = StoreReporter(store, training_id, 1, 0, lambda: later(9), stop)
    reporter.training_started(TrainingPlan(4, 25, 100, 10, 2, 1, "cpu", max_steps=100))
    reporter.epoch_ended(a_result(1, step=25, losses={"objectness": 0.5, "box_reg": 0.5}))
    reporter.flush(PATIENCE)
    reporter.close()
    progress = store.trainings.get_training(training_id).progress
    assert progress is not None
    assert (progress.epoch, progress.max_epochs, progress.step) == (1, 4, 25)
    (record,) = store.runs.curve_records(training_id)
    assert (record["step"], record["losses"]) == (25, {"objectness": 0.5, "box_reg": 0.5})
