"""Early stopping's records: how a trial stands among those that came as far, whoever writes and in whatever order."""

from __future__ import annotations

import math
import random

import pytest

from mitorch_service.errors import StaleAttempt
from mitorch_service.models.base import new_id
from mitorch_service.search.stopping.base import Question, Standing
from mitorch_service.stores.base import Store
from tests.samples import NOW, a_job, a_trial, an_attempt

JOB = new_id()


def test_a_standing_is_that_of_the_search_room(store: Store) -> None:
    draw = random.Random(0)
    losses = [draw.choice([0.5, -2.0, 1e-9, math.inf, draw.random()]) for _ in range(60)]
    for number, loss in enumerate(losses):
        store.rungs.record_rung(JOB, number, 1, 0, 3, loss)
        store.rungs.record_rung(JOB, number, 1, 1, 3, -loss if loss < math.inf else 7.0)
        store.rungs.record_rung(new_id(), number, 1, 0, 3, -100.0)
    store.rungs.record_rung(JOB, 99, 1, 0, 9, -100.0)
    for loss in (*losses, -math.inf, 0.25):
        assert Standing(*store.rungs.standing(JOB, 0, 3, loss)) == Standing.of(Question(3, loss), losses)
    assert store.rungs.standing(JOB, 2, 3, 0.0) == (0, 0)


def test_a_later_attempt_replaces_the_value_and_an_earlier_one_does_not(store: Store) -> None:
    assert store.rungs.record_rung(JOB, 0, 2, 0, 1, 0.5)
    assert store.rungs.record_rung(JOB, 0, 2, 0, 1, 0.5)
    assert not store.rungs.record_rung(JOB, 0, 1, 0, 1, 0.1)
    assert store.rungs.standing(JOB, 0, 1, 0.4) == (1, 0)
    assert store.rungs.record_rung(JOB, 0, 3, 0, 1, 0.1)
    assert store.rungs.standing(JOB, 0, 1, 0.4) == (1, 1)


def test_the_records_of_a_job_go_with_it(store: Store) -> None:
    other = new_id()
    for job_id in (JOB, other):
        store.rungs.record_rung(job_id, 0, 1, 0, 1, 0.5)
    assert store.rungs.remove_rungs(JOB) == 1
    assert (store.rungs.standing(JOB, 0, 1, 1.0), store.rungs.standing(other, 0, 1, 1.0)) == ((0, 0), (1, 1))


def test_values_of_some_epochs_are_kept_in_the_trial_by_its_run_alone(store: Store) -> None:
    job = a_job()
    trial = a_trial(job.id, 0)
    store.queue.add_trainings([trial])
    store.queue.claim_training(trial.id, an_attempt(trial))
    store.runs.start_training(trial.id, 1, "worker", NOW)
    store.rungs.record_trial_value(trial.id, 1, 3, 0.5)
    store.rungs.record_trial_value(trial.id, 1, 9, math.inf)
    with pytest.raises(StaleAttempt):
        store.rungs.record_trial_value(trial.id, 2, 27, 0.1)
    (row,) = store.jobs.latest_trials(job.id, 5)
    assert row.trial.curve == {"3": 0.5, "9": math.inf}


def test_trials_are_read_by_number_from_both_ends(store: Store) -> None:
    job = a_job()
    store.queue.add_trainings([a_trial(job.id, number, arrival=job.arrival + number) for number in range(7)])
    store.queue.add_trainings([a_trial(new_id(), 9)])
    assert [row.trial.number for row in store.jobs.iterate_trials(job.id)] == list(range(7))
    assert [row.trial.number for row in store.jobs.latest_trials(job.id, 3)] == [6, 5, 4]


def test_a_note_is_shown_until_the_job_ends(store: Store) -> None:
    job = a_job()
    store.jobs.add_job(job)
    assert store.jobs.note_job(job.id, "no more time")
    assert store.jobs.get_job(job.id).note == "no more time"
