"""The Pareto front of a job: what a run leaves, what a pass makes of it, and what a pass that is late may not do."""

from __future__ import annotations

import random
from typing import Any

import pytest

from mitorch_service.controller.loop import Controller
from mitorch_service.controller.observe import pareto_front as fronts
from mitorch_service.controller.observe.history import BEST, read_history
from mitorch_service.controller.observe.pareto_front import current_front, read_merge, store_merge
from mitorch_service.controller.plan.search.expansion import expand
from mitorch_service.models.attempts.run_state import RunState
from mitorch_service.models.search.job import Job, SearchConfig, trial_id
from mitorch_service.models.search.pareto_front import FrontTrial
from mitorch_service.models.status import AttemptOutcome, JobStatus, TrainingStatus
from mitorch_service.models.training import Training, Trial, run_name
from mitorch_service.runs.search.trial_values import with_trial_values
from mitorch_service.search.base import TrialState
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.runs import RunEnd
from tests.fakes import FakeBackend, HookedStore
from tests.job_states import a_study
from tests.samples import NOW, a_job, a_training, an_attempt, later

TWO: dict[str, Any] = {"objective": ["val_loss", "top1_accuracy"], "seed": 0}


def a_search(store: Store, **search: Any) -> Job:
    """A job for a low loss and a high accuracy."""
    job = a_job(search=SearchConfig(**{"max_trials": 4, **TWO, **search}))
    store.jobs.add_job(job)
    return job


def a_trial_of(job: Job, number: int) -> Training:
    """One that waits, as the controller creates it."""
    (first, *_) = expand(job, a_study(job), number - 1 if number else None, 0, NOW)
    return first


def end(store: Store, training: Training, loss: float | None, accuracy: float, attempt: int = 1) -> None:
    """Its run ends with this; None: without a loss."""
    store.queue.add_trainings([training])
    store.queue.claim_training(training.id, an_attempt(training, attempt))
    store.runs.start_training(training.id, attempt, "w", NOW)
    evaluation = {"top1_accuracy": accuracy} | ({} if loss is None else {"val_loss": loss})
    done = RunEnd(AttemptOutcome.COMPLETED, evaluation, artifacts={"model": f"m{training.id}"})
    store.runs.finish_training(training.id, attempt, "w", NOW, with_trial_values(training, done))


def numbers(front: list[FrontTrial] | None) -> list[int]:
    return [trial.number for trial in front or []]


def test_a_run_leaves_the_values_of_all_objectives_or_of_none(store: Store) -> None:
    job = a_search(store)
    trainings = [a_trial_of(job, number) for number in range(3)]
    for training, (loss, accuracy) in zip(trainings, [(0.5, 0.7), (float("nan"), 0.9), (None, 0.9)], strict=True):
        end(store, training, loss, accuracy)
    left = [store.trainings.get_training(training.id).trial for training in trainings]
    assert [trial and trial.values for trial in left] == [[0.5, 0.7], None, None]
    assert [trial and trial.value for trial in left] == [None, None, None]
    assert [row.id for row in store.fronts.unmerged_trials(job.id, 9).items] == [trainings[0].id]
    assert store.jobs.best_trials(job.id, "minimize", 9).items == []


def test_passes_keep_the_front_up_to_date_and_the_job_ends_with_its_weights(store: Store) -> None:
    job = a_search(store)
    backend = FakeBackend("local")
    controller = Controller(store, {"local": backend})
    values = {0: (0.5, 0.7), 1: (0.6, 0.6), 2: (0.6, 0.8), 3: (0.4, 0.1)}
    seen = []
    for second in range(20):
        if controller.tick(later(second)).idle:
            break
        seen.append(numbers(store.jobs.get_job(job.id).front))
        for row in sorted(store.queue.active_trainings().items, key=lambda row: row.trial.number if row.trial else -1)[
            :1
        ]:
            assert row.trial is not None
            training = store.runs.start_training(row.id, 1, "w", NOW)
            loss, accuracy = values[row.trial.number]
            evaluation, kept = {"val_loss": loss, "top1_accuracy": accuracy}, {"model": f"m{row.trial.number}"}
            done = RunEnd(AttemptOutcome.COMPLETED, evaluation, artifacts=kept)
            store.runs.finish_training(row.id, 1, "w", NOW, with_trial_values(training, done))
            backend.end(run_name(row.id, 1), RunState.SUCCEEDED, exit_code=0)
    done_job = store.jobs.get_job(job.id)
    assert (done_job.status, done_job.best) == (JobStatus.COMPLETED, None)
    assert numbers(done_job.front) == [3, 0, 2]
    assert done_job.artifacts == {"model_0": "m0", "model_2": "m2", "model_3": "m3"}
    assert [0] in seen
    assert store.fronts.unmerged_trials(job.id, 9).items == []
    assert numbers(current_front(store, done_job)) == [3, 0, 2]


def test_without_a_front_a_job_fails(store: Store) -> None:
    job = a_search(store, max_trials=1)
    end(store, a_trial_of(job, 0), None, 0.5)
    Controller(store, {"local": FakeBackend("local")}).tick(NOW)
    ended = store.jobs.get_job(job.id)
    assert (ended.status, ended.error) == (JobStatus.FAILED, "no trial gave a finite val_loss and top1_accuracy")


def test_a_pass_that_read_an_earlier_front_changes_nothing(store: Store) -> None:
    job = a_search(store)
    end(store, a_trial_of(job, 0), 0.5, 0.5)
    late = read_merge(store, job)
    end(store, a_trial_of(job, 1), 0.6, 0.6)
    faster = read_merge(store, job)
    assert late is not None and faster is not None
    assert store_merge(store, faster)
    assert not store_merge(store, late)
    now = store.jobs.get_job(job.id)
    assert (numbers(now.front), now.front_version) == ([0, 1], 1)
    assert read_merge(store, now) is None
    assert not store.jobs.finish_job(job.id, JobStatus.COMPLETED, NOW, None, {}, None, late.front, None)
    assert store.jobs.finish_job(job.id, JobStatus.COMPLETED, NOW, None, {}, None, now.front or [], 1)


def test_a_pass_that_dies_before_it_has_noted_what_it_told_tells_it_again(store: Store) -> None:
    job = a_search(store)
    end(store, a_trial_of(job, 0), 0.5, 0.5)

    class Dies(Exception):
        pass

    changes = 0

    def die(operation: str) -> None:
        nonlocal changes
        changes += operation == "change"
        if changes == 2:
            raise Dies

    merge = read_merge(store, job)
    assert merge is not None
    with pytest.raises(Dies):
        store_merge(HookedStore(store, die), merge)
    again = read_merge(store, store.jobs.get_job(job.id))
    assert again is not None
    assert store_merge(store, again)
    now = store.jobs.get_job(job.id)
    assert (numbers(now.front), read_merge(store, now)) == ([0], None)


def test_a_failed_trial_that_is_retried_comes_into_the_front(store: Store) -> None:
    job = a_search(store)
    end(store, a_trial_of(job, 1), 0.5, 0.5)
    first = a_trial_of(job, 0)
    store.queue.add_trainings([first])
    store.queue.claim_training(first.id, an_attempt(first))
    store.runs.start_training(first.id, 1, "w", NOW)
    store.runs.finish_training(first.id, 1, "w", NOW, RunEnd(AttemptOutcome.FAILED))
    controller = Controller(store, {"local": FakeBackend("local", slots=0)})
    controller.tick(NOW)
    assert numbers(store.jobs.get_job(job.id).front) == [1]
    store.queue.retry_training(first.id, NOW)
    end(store, first, 0.1, 0.1, attempt=2)
    controller.tick(NOW)
    assert numbers(store.jobs.get_job(job.id).front) == [0, 1]


def test_more_than_a_pass_takes_are_told_by_the_next_ones_before_the_job_ends(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fronts, "MERGED_A_PASS", 3)
    job = a_search(store, max_trials=8, algorithm="random")
    for training in expand(job, a_study(job), None, 0, NOW):
        assert training.trial is not None
        number = training.trial.number
        end(store, training, 0.1 * number, 0.1 * number)
    controller = Controller(store, {"local": FakeBackend("local")})
    lengths = []
    while not controller.tick(NOW).idle:
        now = store.jobs.get_job(job.id)
        lengths.append((len(now.front or []), now.status.value))
    assert lengths == [(3, "running"), (6, "running"), (8, "running"), (8, "completed")]


def test_a_search_is_told_its_front_and_its_latest_trials(store: Store) -> None:
    job = a_search(store, max_trials=5000, algorithm="tpe")
    draw, documents = random.Random(0), []
    single = a_job(search=SearchConfig(max_trials=1, **TWO))
    (drawn,) = expand(single, a_study(single), None, 0, NOW)
    for number in range(1000):
        assert drawn.trial is not None
        values = [draw.random(), draw.random()]
        trial = Trial(**{**vars(drawn.trial), "number": number, "values": values, "unmerged": job.id})
        fields = {"id": trial_id(job.id, number), "job_id": job.id, "arrival": job.arrival + number, "trial": trial}
        documents.append(a_training(status=TrainingStatus.COMPLETED, **fields))
    store.queue.add_trainings(documents)
    merge = read_merge(store, job)
    assert merge is not None and store_merge(store, merge)
    told = read_history(store, store.jobs.get_job(job.id), a_study(job).space, 999)
    of_front = {trial.number for trial in merge.front}
    assert {record.number for record in told} == of_front | set(range(1000 - 384, 1000))
    assert all(len(record.values) == 2 and record.state == TrialState.COMPLETED for record in told)
    assert len(of_front) < BEST
