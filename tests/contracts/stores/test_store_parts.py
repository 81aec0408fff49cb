"""Trials that run in parts, in the store: found where they wait, and taken on once."""

from __future__ import annotations

import math

import pytest

from mitorch_service.errors import NotAllowed
from mitorch_service.models.base import new_id
from mitorch_service.models.search.population import Inheritance, MemberReplacement
from mitorch_service.models.status import AttemptOutcome, TrainingStatus
from mitorch_service.models.training import Training
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.runs import RunEnd
from tests.samples import CONFIG, NOW, a_job, a_trial, an_attempt, later

JOB = new_id()


def paused(store: Store, pause_at: int | None = 1, outcome: AttemptOutcome = AttemptOutcome.PAUSED) -> Training:
    """A trial whose first attempt has ended so."""
    training = a_trial(JOB, 0)
    assert training.trial is not None
    trial = training.trial.model_copy(update={"pause_at": pause_at, "rungs": [1], "lineage": []})
    store.queue.add_trainings([training.model_copy(update={"trial": trial})])
    store.queue.claim_training(training.id, an_attempt(training))
    store.runs.start_training(training.id, 1, "worker", NOW)
    store.runs.finish_training(training.id, 1, "worker", NOW, RunEnd(outcome))
    return store.trainings.get_training(training.id)


def test_those_that_wait_are_found_best_first(store: Store) -> None:
    for number, loss in enumerate((0.5, math.inf, -2.0, 0.1)):
        store.rungs.record_rung(JOB, number, 1, 0, 3, loss, paused=number != 3)
    store.rungs.record_rung(JOB, 9, 1, 0, 9, -9.0, paused=True)
    store.rungs.record_rung(new_id(), 9, 1, 0, 3, -9.0, paused=True)
    assert [record.number for record in store.rungs.best_paused(JOB, 3, 10)] == [2, 0, 1]
    assert [record.number for record in store.rungs.best_paused(JOB, 3, 1)] == [2]
    assert [record.number for record in store.rungs.rung_records(JOB, 3, 10)] == [2, 3, 0, 1]
    assert (
        store.rungs.count_rung(JOB, 3),
        store.rungs.count_rung(JOB, 3, paused=True),
        store.rungs.count_rung(JOB, 1),
    ) == (4, 3, 0)
    assert len(store.rungs.some_rung_records(JOB, 3)) == 3
    store.rungs.remove_rung_records(store.rungs.rung_records(JOB, 3, 10))
    assert [record.number for record in store.rungs.some_rung_records(JOB, 9)] == [9]


def test_a_mark_goes_unless_a_later_attempt_has_set_its_own(store: Store) -> None:
    store.rungs.record_rung(JOB, 0, 1, 0, 3, 0.5, paused=True)
    (old,) = store.rungs.best_paused(JOB, 3, 10)
    store.rungs.record_rung(JOB, 0, 2, 0, 3, 0.5, paused=True)
    assert not store.rungs.forget_paused(old)
    (new,) = store.rungs.best_paused(JOB, 3, 10)
    assert store.rungs.forget_paused(new)
    assert store.rungs.best_paused(JOB, 3, 10) == []
    assert store.rungs.count_rung(JOB, 3) == 1


def test_a_paused_trial_is_taken_on_once(store: Store) -> None:
    row = paused(store)
    assert row.is_paused()
    assert store.rungs.resume_trial(row, 3, 7, later(5))
    assert not store.rungs.resume_trial(row, 3, 7, later(5))
    again = store.trainings.get_training(row.id)
    assert again.trial is not None
    assert (again.status, again.trial.pause_at, again.priority) == (TrainingStatus.NEW, 3, 7)
    assert (again.attempt, again.budget_from, again.config) == (1, 1, row.config)
    assert store.trainings.count_trainings(JOB) == {"new": 1}
    assert store.queue.claim_training(row.id, an_attempt(row, 2))
    assert not store.rungs.resume_trial(row, 9, 7, later(6))


def test_one_that_a_person_wants_canceled_is_not_taken_on(store: Store) -> None:
    training = a_trial(JOB, 0)
    store.queue.add_trainings([training])
    store.queue.claim_training(training.id, an_attempt(training))
    store.runs.start_training(training.id, 1, "worker", NOW)
    store.queue.request_cancel(training.id, NOW)
    store.runs.finish_training(training.id, 1, "worker", NOW, RunEnd(AttemptOutcome.PAUSED))
    assert not store.rungs.resume_trial(store.trainings.get_training(training.id), 3, 7, later(5))


@pytest.mark.parametrize("outcome", [AttemptOutcome.PAUSED, AttemptOutcome.FAILED, AttemptOutcome.DIVERGED])
def test_a_new_course_changes_config_parameters_and_lineage_in_one_step(store: Store, outcome: AttemptOutcome) -> None:
    row = paused(store, outcome=outcome)
    for place in range(2):
        config = {**CONFIG, "label_smoothing": place / 10}
        after = {"lr_scheduler.base_lr": place}
        inheritance = Inheritance(epoch=place, parent=new_id(), parent_number=3, before={"lr": 0.1}, after=after)
        assert store.rungs.resume_trial(row, 3, 7, later(5), MemberReplacement(config, inheritance, place))
        again = store.trainings.get_training(row.id)
        assert again.trial is not None
        assert (again.config, again.trial.parameters) == (config, after)
        assert again.trial.lineage is not None
        assert again.trial.lineage[place] == inheritance
        assert len(again.trial.lineage) == place + 1
        number = again.attempt + 1
        store.queue.claim_training(row.id, an_attempt(row, number))
        store.runs.start_training(row.id, number, "worker", NOW)
        store.runs.finish_training(row.id, number, "worker", NOW, RunEnd(outcome))
        row = store.trainings.get_training(row.id)


def test_a_retry_keeps_the_pause_or_not(store: Store) -> None:
    for to_its_end, expected in ((False, 1), (True, None)):
        row = paused(store)
        store.queue.retry_training(row.id, later(5), to_its_end)
        trial = store.trainings.get_training(row.id).trial
        assert trial is not None
        assert trial.pause_at == expected
    with pytest.raises(NotAllowed):
        store.queue.retry_training(row.id, later(6), to_its_end=True)


def test_many_are_read_at_once(store: Store) -> None:
    job = a_job()
    trainings = [a_trial(job.id, number) for number in range(450)]
    store.queue.add_trainings(trainings)
    ids = [training.id for training in trainings]
    assert store.rungs.rows_among([*ids, new_id()]).keys() == set(ids)
