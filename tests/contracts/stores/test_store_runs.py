"""A run's writes, and when they are refused: the attempt's number is its fencing token."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mitorch_service.errors import StaleAttempt
from mitorch_service.models.base import new_id
from mitorch_service.models.status import AttemptOutcome, TrainingStatus
from mitorch_service.models.training import Training, TrainingErrorInfo
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.runs import RunEnd, result_document
from tests.fakes import HookedStore, primitives
from tests.samples import NOW, a_result, a_training, a_trial, an_attempt, later

LOST = TrainingErrorInfo(type="Lost", message="no sign of life")
DONE = RunEnd(AttemptOutcome.COMPLETED, {"val_loss": 0.5}, artifacts={"model": "/files/model.pth"})


def test_a_start_is_recorded_and_gives_the_config(store: Store) -> None:
    training = claimed(store)
    back = store.runs.start_training(training.id, 1, "worker", later(1))
    assert back.config == training.config
    assert (back.status, back.attempts[0].started_at) == (TrainingStatus.RUNNING, later(1))


def test_a_run_tells_where_it_is_seen_unless_its_submission_has(store: Store) -> None:
    one, other = claimed(store), claimed(store)
    store.runs.begin_attempt(one.id, 1, NOW, "https://studio/one")
    store.queue.record_submission(one.id, 1, NOW, None)  # the answer was lost
    store.queue.record_submission(other.id, 1, NOW, "https://studio/other")
    store.runs.begin_attempt(other.id, 1, NOW, "https://studio/two")
    urls = [store.trainings.get_training(row.id).attempts[0].url for row in (one, other)]
    assert urls == ["https://studio/one", "https://studio/other"]


def test_the_same_process_may_repeat_its_start_another_may_not(store: Store) -> None:
    training = claimed(store)
    store.runs.start_training(training.id, 1, "worker", NOW)
    store.runs.start_training(training.id, 1, "worker", NOW)  # its first answer was lost
    with pytest.raises(StaleAttempt):
        store.runs.start_training(training.id, 1, "another process", NOW)


def test_the_beginning_of_a_process_is_noted_once(store: Store) -> None:
    training = claimed(store)
    assert store.runs.begin_attempt(training.id, 1, later(1)).config == training.config
    store.runs.begin_attempt(training.id, 1, later(2))  # its cluster has restarted it
    assert store.trainings.get_training(training.id).attempts[0].begun_at == later(1)


@pytest.mark.parametrize("event", ["started", "canceled", "silent"])
def test_a_process_whose_attempt_is_anothers_or_over_does_not_note_its_beginning(store: Store, event: str) -> None:
    training = claimed(store)

    def before(operation: str) -> None:
        if operation != "change":
            return
        if event == "started":
            store.runs.start_training(training.id, 1, "another process", later(1))
        elif event == "canceled":
            canceled = AttemptOutcome.CANCELED, TrainingStatus.CANCELED
            store.queue.end_attempt(training.id, 1, later(1), *canceled, LOST)
        else:
            store.queue.revoke_fence(training.id, 1)

    HookedStore(store, before).runs.begin_attempt(training.id, 1, NOW)
    assert store.trainings.get_training(training.id).attempts[0].begun_at is None


@pytest.mark.parametrize("attempt", [2, 3])
def test_a_start_of_another_attempt_is_refused(store: Store, attempt: int) -> None:
    training = claimed(store)
    with pytest.raises(StaleAttempt):
        store.runs.start_training(training.id, attempt, "worker", NOW)
    with pytest.raises(StaleAttempt):
        store.runs.start_training(new_id(), 1, "worker", NOW)


def test_a_canceled_training_does_not_start(store: Store) -> None:
    training = claimed(store)
    store.queue.request_cancel(training.id, NOW)
    with pytest.raises(StaleAttempt):
        store.runs.start_training(training.id, 1, "worker", NOW)


def test_an_epoch_is_stored_once_however_often_it_is_recorded(store: Store) -> None:
    training = started(store)
    store.runs.record_epoch(training.id, 1, 3, a_result(1, train_loss=9.0))
    store.runs.record_epoch(training.id, 1, 3, a_result(1))
    store.runs.record_epoch(training.id, 1, 3, a_result(2))
    assert store.runs.curve(training.id).items == [a_result(1), a_result(2)]
    progress = store.trainings.get_training(training.id).progress
    assert progress is not None
    assert (progress.epoch, progress.max_epochs, progress.at) == (2, 3, later(2))


def test_a_curve_is_in_the_order_of_its_epochs(store: Store) -> None:
    training = started(store)
    for epoch in (1, 2, 10, 9, 100, 11):
        store.runs.record_epoch(training.id, 1, 100, a_result(epoch))
    assert [result.epoch for result in store.runs.curve(training.id).items] == [1, 2, 9, 10, 11, 100]


def test_an_attempt_that_resumes_shows_the_last_result_before_it(store: Store) -> None:
    training = started(store)
    for epoch in (1, 2, 9, 10, 11):
        store.runs.record_epoch(training.id, 1, 12, a_result(epoch))
    assert store.runs.last_result(training.id) == a_result(11)
    store.runs.retry_attempt(training.id, 1, "worker", NOW, RunEnd(AttemptOutcome.LOST))
    store.queue.claim_training(training.id, an_attempt(training, 2))
    resumed = store.runs.start_training(training.id, 2, "worker", NOW, resume_epoch=10)
    assert resumed == store.trainings.get_training(training.id)
    assert resumed.progress is not None
    assert (resumed.progress.epoch, resumed.progress.val_loss) == (10, a_result(10).val_loss)
    assert store.runs.last_result(training.id) == a_result(10)


def test_recording_tells_that_a_stop_was_asked_for(store: Store) -> None:
    training = started(store)
    assert store.runs.record_epoch(training.id, 1, 3, a_result(1)) is False
    assert store.runs.heartbeat(training.id, 1, NOW) is False
    store.queue.request_cancel(training.id, NOW)
    assert store.runs.record_epoch(training.id, 1, 3, a_result(2)) is True
    assert store.runs.heartbeat(training.id, 1, NOW) is True


def test_a_writer_whose_successor_was_launched_is_refused(store: Store) -> None:
    training = started(store)
    lose(store, training)
    assert store.queue.claim_training(training.id, an_attempt(training, 2))
    refused: list[Callable[[], object]] = [
        lambda: store.runs.record_epoch(training.id, 1, 3, a_result(1)),
        lambda: store.runs.heartbeat(training.id, 1, NOW),
        lambda: store.runs.finish_training(training.id, 1, "worker", NOW, DONE),
        lambda: store.runs.retry_attempt(training.id, 1, "worker", NOW, RunEnd(AttemptOutcome.FAILED)),
    ]
    for write in refused:
        with pytest.raises(StaleAttempt):
            write()
    assert store.runs.curve(training.id).items == []
    assert store.trainings.get_training(training.id).status == TrainingStatus.QUEUED


def test_a_stale_epoch_does_not_overwrite_the_successors(store: Store) -> None:
    """The guard on the training and the one on the result are two steps: here the second alone must hold."""
    training = started(store)
    newer = {"_id": f"{training.id}:000001", "training_id": training.id, "attempt": 2, **a_result(1).to_document()}
    assert primitives(store).put("training_results", newer, fence="attempt")
    assert not primitives(store).put("training_results", {**newer, "attempt": 1, "train_loss": 9.0}, fence="attempt")
    assert store.runs.curve(training.id).items == [a_result(1)]


@pytest.mark.parametrize("sign", ["epoch", "heartbeat", "finish"])
def test_a_run_that_was_declared_lost_wrongly_is_taken_back(store: Store, sign: str) -> None:
    training = started(store)
    lose(store, training)
    if sign == "epoch":
        store.runs.record_epoch(training.id, 1, 3, a_result(1))
    elif sign == "heartbeat":
        store.runs.heartbeat(training.id, 1, NOW)
    else:
        store.runs.finish_training(training.id, 1, "worker", NOW, DONE)
    row = store.trainings.get_training(training.id)
    assert row.status == ("completed" if sign == "finish" else "running")
    assert row.attempts_ended_as(AttemptOutcome.LOST) == 0
    assert not store.queue.claim_training(training.id, an_attempt(training, 2))


@pytest.mark.parametrize("resume_epoch", [0, 1])
def test_an_attempt_that_is_superseded_within_its_start_is_told(store: Store, resume_epoch: int) -> None:
    training = started(store)
    store.runs.record_epoch(training.id, 1, 3, a_result(1))
    lose(store, training)
    store.queue.claim_training(training.id, an_attempt(training, 2))

    def supersede(operation: str) -> None:
        if operation == "remove_between":
            lose(store, training, 2)
            store.queue.claim_training(training.id, an_attempt(training, 3))

    slow = HookedStore(store, supersede)
    with pytest.raises(StaleAttempt):  # else its writes would be those of attempt 3
        slow.runs.start_training(training.id, 2, "worker", NOW, resume_epoch=resume_epoch)


def test_an_attempt_that_was_superseded_within_its_start_drops_nothing_of_its_successor(store: Store) -> None:
    training = started(store)
    store.runs.record_epoch(training.id, 1, 3, a_result(1))
    lose(store, training)
    store.queue.claim_training(training.id, an_attempt(training, 2))
    store.runs.start_training(training.id, 2, "next", NOW)
    store.runs.record_epoch(training.id, 2, 3, a_result(1))
    store.runs.record_epoch(training.id, 2, 3, a_result(2))
    store.runs.drop_results(training.id, 1, 0)  # stopped since it has started, and revived
    assert [result.epoch for result in store.runs.curve(training.id).items] == [1, 2]
    store.runs.drop_results(training.id, 3, 1)
    assert [result.epoch for result in store.runs.curve(training.id).items] == [1]


@pytest.mark.parametrize("resume_epoch", [2, None])
def test_what_an_attempt_goes_on_from_is_its_own(store: Store, resume_epoch: int | None) -> None:
    """An earlier one that was stopped between two calls, and continues, drops and overwrites nothing of it."""
    training = started(store)
    database = primitives(store)
    for epoch in (1, 2):
        store.runs.record_epoch(training.id, 1, 3, a_result(epoch))
    for attempt in (2, 3):
        lose(store, training, attempt - 1)
        store.queue.claim_training(training.id, an_attempt(training, attempt))
    store.runs.start_training(training.id, 3, "next", NOW, resume_epoch)
    store.runs.drop_results(training.id, 2, 0)  # as attempt 2 when it started, and knew of no state to go on from
    store.runs.drop_results(training.id, 3, 1)  # as attempt 2 after its first report
    late = result_document(training.id, 2, a_result(1).model_copy(update={"val_loss": 9.0}))
    assert not database.put("training_results", late, "attempt")
    assert store.runs.curve(training.id).items == [a_result(1), a_result(2)]
    assert [record["attempt"] for record in store.runs.curve_records(training.id)] == [3, 3]


def test_records_that_name_no_attempt_are_taken_over(store: Store) -> None:
    training = started(store)
    store.runs.record_epoch(training.id, 1, 3, a_result(1))
    document = result_document(training.id, 1, a_result(2))
    primitives(store).replace(
        "training_results", {name: value for name, value in document.items() if name != "attempt"}
    )
    lose(store, training)
    store.queue.claim_training(training.id, an_attempt(training, 2))
    store.runs.start_training(training.id, 2, "next", NOW, 2)
    assert [record["attempt"] for record in store.runs.curve_records(training.id)] == [2, 2]
    assert store.runs.curve(training.id).items == [a_result(1), a_result(2)]


def test_the_next_attempt_drops_the_results_it_will_write_anew(store: Store) -> None:
    training = started(store)
    for epoch in (1, 2, 3):
        store.runs.record_epoch(training.id, 1, 3, a_result(epoch))
    lose(store, training)
    store.queue.claim_training(training.id, an_attempt(training, 2))
    store.runs.start_training(training.id, 2, "next", NOW, resume_epoch=1)
    assert [result.epoch for result in store.runs.curve(training.id).items] == [1]


def test_the_end_is_written_once_and_may_be_repeated(store: Store) -> None:
    training = started(store)
    for _ in range(2):
        store.runs.finish_training(training.id, 1, "worker", later(5), DONE)
    row = store.trainings.get_training(training.id)
    assert (row.status, row.evaluation) == (TrainingStatus.COMPLETED, {"val_loss": 0.5})
    assert row.artifacts == {"model": "/files/model.pth"}
    assert row.attempts[0].outcome == AttemptOutcome.COMPLETED
    assert row.status_times["completed"] == later(5)
    with pytest.raises(StaleAttempt):
        store.runs.record_epoch(training.id, 1, 3, a_result(3))


def test_an_end_by_another_process_is_refused(store: Store) -> None:
    training = started(store)
    with pytest.raises(StaleAttempt):
        store.runs.finish_training(training.id, 1, "another process", NOW, DONE)


def test_an_attempt_can_end_without_its_training(store: Store) -> None:
    training = started(store)
    error = TrainingErrorInfo(type="OSError", message="flaky disk")
    end = RunEnd(AttemptOutcome.FAILED, error=error, reason="flaky disk")
    store.runs.retry_attempt(training.id, 1, "worker", later(1), end)
    row = store.trainings.get_training(training.id)
    assert (row.status, row.attempts[0].outcome, row.error) == ("new", "failed", error)
    with pytest.raises(StaleAttempt):  # it has said itself that it is over: it is not taken back
        store.runs.heartbeat(training.id, 1, NOW)


def test_a_trials_value_is_stored_if_it_is_finite(store: Store) -> None:
    job = new_id()
    good, without = a_trial(job, 0), a_trial(job, 1)
    store.queue.add_trainings([good, without])
    for training, value in ((good, 0.25), (without, None)):
        store.queue.claim_training(training.id, an_attempt(training))
        store.runs.start_training(training.id, 1, "w", NOW)
        end = RunEnd(AttemptOutcome.COMPLETED, {"val_loss": 0.25}, trial_value=value)
        store.runs.finish_training(training.id, 1, "w", NOW, end)
    assert [row.id for row in store.jobs.best_trials(job, "minimize", 10).items] == [good.id]


def claimed(store: Store) -> Training:
    training = a_training()
    store.queue.add_trainings([training])
    assert store.queue.claim_training(training.id, an_attempt(training))
    return training


def started(store: Store) -> Training:
    training = claimed(store)
    store.runs.start_training(training.id, 1, "worker", NOW)
    return training


def lose(store: Store, training: Training, attempt: int = 1) -> None:
    assert store.queue.end_attempt(training.id, attempt, later(1), AttemptOutcome.LOST, TrainingStatus.NEW, LOST)
