"""The queue: adding, ordering, claiming, canceling, retrying, deleting."""

from __future__ import annotations

import pytest

from mitorch_service.controller.loop import Controller
from mitorch_service.errors import NotAllowed, NotFound
from mitorch_service.models.base import new_id
from mitorch_service.models.config.script import NO_DATASET
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.status import AttemptOutcome, TrainingStatus
from mitorch_service.models.training import Resources, Training, TrainingErrorInfo, TrainingRow
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.runs import RunEnd
from tests.fakes import FakeBackend, HookedStore, primitives
from tests.samples import NOW, a_result, a_training, an_attempt, later

LOST = TrainingErrorInfo(type="Lost", message="the node burned")


def test_adding_twice_adds_once_and_changes_nothing(store: Store) -> None:
    training = a_training()
    other = a_training()
    assert store.queue.add_trainings([training]) == 1
    changed = training.model_copy(update={"priority": 1})
    assert store.queue.add_trainings([changed, other]) == 1
    assert store.trainings.get_training(training.id).priority == training.priority


def test_adding_nothing_is_no_error(store: Store) -> None:
    assert store.queue.add_trainings([]) == 0


def test_the_queue_is_ordered_by_priority_then_arrival(store: Store) -> None:
    trainings = [a_training(priority=p) for p in (100, 5, 100, -3, 5)]
    store.queue.add_trainings(list(reversed(trainings)))
    expected = [trainings[i].id for i in (3, 1, 4, 0, 2)]
    assert [row.id for row in store.queue.queue_head(10).items] == expected
    assert [row.id for row in store.queue.queue_head(2).items] == expected[:2]


def test_the_queue_is_read_on_behind_a_training(store: Store) -> None:
    trainings = [a_training(priority=n // 3) for n in range(9)]
    store.queue.add_trainings(trainings)
    ids, head = [row.id for row in trainings], store.queue.queue_head(4).items
    assert [row.id for row in store.queue.queue_head(3, head[-1]).items] == ids[4:7]
    assert [row.id for row in store.queue.queue_head(9, head[-1]).items] == ids[4:]
    assert store.queue.queue_head(9, trainings[-1]).items == []


def test_however_many_wait_for_a_full_cluster_those_behind_run_by_priority(store: Store) -> None:
    behind = [a_training(priority=priority) for priority in (9, 7, 8, 7, 9)]
    bound = [a_training(resources=Resources(cluster=["full"]), priority=1) for _ in range(1500)]
    store.queue.add_trainings([*behind, *bound])
    Controller(store, {"full": FakeBackend("full", slots=0), "open": FakeBackend("open", slots=3)}).tick(later(2))
    assert {row.id for row in store.queue.active_trainings().items} == {behind[n].id for n in (1, 2, 3)}


def test_each_data_set_has_a_queue_of_its_own(store: Store) -> None:
    refs = [NO_DATASET, *(DatasetRef(name=name, version=v) for name in ("a", "a b", "ab") for v in (0, 1, 12))]
    trainings = [a_training(dataset=ref, priority=-n) for ref in reversed(refs) for n in range(3)]
    store.queue.add_trainings(trainings)
    store.queue.request_cancel(trainings[-1].id, NOW)
    for ref in refs:
        mine = [row.id for row in reversed(trainings[:-1]) if row.dataset == ref]
        assert [row.id for row in store.queue.head_of_dataset(ref, 2).items] == mine[:2]


def test_a_claim_queues_and_leaves_the_head(store: Store) -> None:
    training = added(store)
    assert store.queue.claim_training(training.id, an_attempt(training))
    row = store.trainings.get_training(training.id)
    assert (row.status, row.attempt) == (TrainingStatus.QUEUED, 1)
    assert row.attempts == [an_attempt(training)]
    assert row.status_times["queued"] == NOW
    assert store.queue.queue_head(5).items == []
    assert [active.id for active in store.queue.active_trainings().items] == [training.id]


def test_an_attempt_is_claimed_once(store: Store) -> None:
    training = added(store)
    assert store.queue.claim_training(training.id, an_attempt(training))
    assert not store.queue.claim_training(training.id, an_attempt(training))
    assert not store.queue.claim_training(training.id, an_attempt(training, 2))


def test_an_attempt_number_cannot_be_skipped_or_repeated(store: Store) -> None:
    training = added(store)
    assert not store.queue.claim_training(training.id, an_attempt(training, 2))
    lose(store, training)
    assert not store.queue.claim_training(training.id, an_attempt(training, 1))
    assert store.queue.claim_training(training.id, an_attempt(training, 2))
    assert [a.number for a in store.trainings.get_training(training.id).attempts] == [1, 2]


def test_claiming_what_is_not_there_is_refused(store: Store) -> None:
    assert not store.queue.claim_training(new_id(), an_attempt(a_training()))


def test_a_submission_is_recorded_for_its_own_attempt_only(store: Store) -> None:
    training = added(store)
    store.queue.claim_training(training.id, an_attempt(training))
    assert store.queue.record_submission(training.id, 1, later(2), "https://portal/run")
    assert not store.queue.record_submission(training.id, 2, later(3), None)
    attempt = store.trainings.get_training(training.id).attempts[0]
    assert (attempt.submitted_at, attempt.url) == (later(2), "https://portal/run")


def test_an_attempt_whose_run_starts_while_a_pass_is_about_to_end_it_goes_on(store: Store) -> None:
    training = a_training()
    store.queue.add_trainings([training])
    assert store.queue.claim_training(training.id, an_attempt(training))

    def start(operation: str) -> None:
        if operation == "change":
            store.runs.start_training(training.id, 1, "process", later(600))

    slow = HookedStore(store, start)
    assert not slow.queue.end_attempt(training.id, 1, later(2), AttemptOutcome.LOST, TrainingStatus.NEW, LOST)
    row = store.trainings.get_row(training.id)
    assert row.status == TrainingStatus.RUNNING and row.attempts[0].ended_at is None


def test_a_lost_attempt_goes_back_to_its_place_in_the_queue(store: Store) -> None:
    first, second = added(store), added(store)
    lose(store, first)
    row = store.trainings.get_training(first.id)
    assert (row.status, row.attempt) == (TrainingStatus.NEW, 1)
    assert row.attempts[0].outcome == AttemptOutcome.LOST
    assert row.attempts[0].reason == "the node burned"
    assert row.attempts_ended_as(AttemptOutcome.LOST) == 1
    assert [r.id for r in store.queue.queue_head(2).items] == [first.id, second.id]


def test_the_verdict_on_a_training_that_has_ended_is_refused(store: Store) -> None:
    training = added(store)
    store.queue.claim_training(training.id, an_attempt(training))
    store.runs.start_training(training.id, 1, "w", NOW)
    store.runs.finish_training(training.id, 1, "w", later(1), RunEnd(AttemptOutcome.COMPLETED, {"val_loss": 0.1}))
    failed = TrainingStatus.FAILED
    assert not store.queue.end_attempt(training.id, 1, later(2), AttemptOutcome.FAILED, failed, LOST)
    assert store.trainings.get_training(training.id).status == TrainingStatus.COMPLETED


def test_the_verdict_on_an_earlier_attempt_is_refused(store: Store) -> None:
    training = added(store)
    lose(store, training)
    store.queue.claim_training(training.id, an_attempt(training, 2))
    assert not store.queue.end_attempt(training.id, 1, later(2), AttemptOutcome.LOST, TrainingStatus.NEW, LOST)
    assert store.trainings.get_training(training.id).status == TrainingStatus.QUEUED


def test_a_new_training_is_canceled_at_once(store: Store) -> None:
    training = added(store)
    assert store.queue.request_cancel(training.id, later(1)).status == TrainingStatus.CANCELED
    assert store.queue.queue_head(1).items == []
    assert store.queue.request_cancel(training.id, later(2)).status == TrainingStatus.CANCELED  # again is no error
    assert not store.queue.claim_training(training.id, an_attempt(training))


def test_the_wish_to_cancel_an_active_training_is_recorded(store: Store) -> None:
    training = added(store)
    store.queue.claim_training(training.id, an_attempt(training))
    row = store.queue.request_cancel(training.id, later(1))
    assert (row.status, row.cancel_requested_at) == (TrainingStatus.QUEUED, later(1))


def test_an_ended_training_cannot_be_canceled(store: Store) -> None:
    training = failed(store)
    with pytest.raises(NotAllowed, match="is failed"):
        store.queue.request_cancel(training.id, NOW)
    with pytest.raises(NotFound):
        store.queue.request_cancel(new_id(), NOW)


def test_a_retry_starts_a_fresh_budget(store: Store) -> None:
    training = failed(store)
    store.queue.retry_training(training.id, later(9))
    row = store.trainings.get_training(training.id)
    assert (row.status, row.attempt, row.error) == (TrainingStatus.NEW, 1, None)
    assert row.attempts_ended_as(AttemptOutcome.FAILED) == 0
    assert store.queue.claim_training(training.id, an_attempt(training, 2))


def test_only_what_has_ended_badly_is_retried(store: Store) -> None:
    training = added(store)
    with pytest.raises(NotAllowed, match="is new"):
        store.queue.retry_training(training.id, NOW)
    with pytest.raises(NotFound):
        store.queue.retry_training(new_id(), NOW)


def test_the_priority_can_be_changed_until_the_end(store: Store) -> None:
    first, second = added(store), added(store)
    store.queue.set_priority(second.id, 1)
    assert [row.id for row in store.queue.queue_head(2).items] == [second.id, first.id]
    ended = failed(store)
    with pytest.raises(NotAllowed):
        store.queue.set_priority(ended.id, 1)
    with pytest.raises(NotFound):
        store.queue.set_priority(new_id(), 1)


def test_deleting_takes_the_results_along_and_nothing_else(store: Store) -> None:
    kept, training = failed(store, epochs=2), failed(store, epochs=2)
    store.queue.delete_training(training.id)
    with pytest.raises(NotFound):
        store.trainings.get_training(training.id)
    assert store.runs.curve(training.id).items == []
    assert len(store.runs.curve(kept.id).items) == 2


def test_only_an_ended_training_is_deleted(store: Store) -> None:
    training = added(store)
    with pytest.raises(NotAllowed, match="Cancel it first"):
        store.queue.delete_training(training.id)
    assert store.trainings.get_training(training.id) == training


def test_a_broken_document_is_told_apart_and_can_be_put_aside(store: Store) -> None:
    broken, good = a_training(priority=1), a_training()
    document = broken.to_document()
    document["created_at"] = "not a time"
    primitives(store).insert("trainings", [document])
    store.queue.add_trainings([good])
    head = store.queue.queue_head(5)
    assert [row.id for row in head.items] == [good.id]
    assert [b.key for b in head.broken] == [broken.id]
    assert "created_at" in head.broken[0].reason
    assert store.queue.quarantine_training(broken.id, NOW, head.broken[0].reason)
    assert store.queue.queue_head(5).broken == []
    assert store.trainings.count_trainings() == {"failed": 1, "new": 1}


def added(store: Store) -> Training:
    training = a_training()
    store.queue.add_trainings([training])
    return training


def lose(store: Store, training: Training) -> None:
    assert store.queue.claim_training(training.id, an_attempt(training))
    assert store.queue.end_attempt(training.id, 1, later(1), AttemptOutcome.LOST, TrainingStatus.NEW, LOST)


def failed(store: Store, epochs: int = 0) -> Training:
    training = added(store)
    store.queue.claim_training(training.id, an_attempt(training))
    store.runs.start_training(training.id, 1, "w", NOW)
    for epoch in range(1, epochs + 1):
        store.runs.record_epoch(training.id, 1, 3, a_result(epoch))
    error = TrainingErrorInfo(type="ValueError", message="no", log_tail=["a", "b"])
    store.runs.finish_training(training.id, 1, "w", later(1), RunEnd(AttemptOutcome.FAILED, error=error))
    return training


def test_one_damaged_document_does_not_undo_the_claims_beside_it(store: Store) -> None:
    good = [added(store), added(store)]
    document = {**a_training().to_document(), "attempts": "not a list"}
    primitives(store).insert("trainings", [document])
    damaged = TrainingRow.from_document({**document, "attempts": []})
    claims = [(row.id, an_attempt(good[0])) for row in (good[0], damaged, good[1])]
    assert store.queue.claim_trainings(claims) == [True, False, True]
    assert store.trainings.count_trainings()["queued"] == 2
