"""Searches that go on with the best of their paused trials, whole; the one with the most that goes wrong on both
databases."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from mitorch_service.models.search.job import Job, SearchConfig
from mitorch_service.models.status import JobStatus, TrainingStatus
from mitorch_service.models.training import Training
from mitorch_service.operations.lifecycle import cancel_job, retry_job, retry_training
from mitorch_service.stores.base import Store
from tests.samples import SPACE, a_job, later
from tests.simulation.simulated_search import SimulatedSearch

MAX_EPOCHS = 9
SEEDS = [*(("sqlite", seed) for seed in range(3)), pytest.param("mongo", 0, marks=pytest.mark.long)]


def job_with(**search: Any) -> Job:
    """A random search by promotion at the rungs 1 and 3."""
    values = {"algorithm": "random", "max_trials": 9, "seed": 0, "resume_promoted": True, "max_concurrent": 3}
    rule = {"rule": "asha", "factor": 3}
    config = {**SPACE, "max_epochs": MAX_EPOCHS}
    return a_job(config=config, search=SearchConfig.model_validate({**values, "early_stopping": rule, **search}))


def loss(training: Training, epoch: int) -> float:
    """Trials keep their order; the last is the best."""
    assert training.trial is not None
    return 10.0 - training.trial.number + 1 / epoch


def reached(search: SimulatedSearch) -> list[int]:
    """How many trials came to each rung, and to the end."""
    lengths = [len(search.curve(row)) for row in search.rows()]
    return [sum(length >= epochs for length in lengths) for epochs in (1, 3, MAX_EPOCHS)]


def test_the_epochs_are_those_of_the_rungs(store: Store, tmp_path: Path) -> None:
    search = SimulatedSearch(store, tmp_path, job_with(), loss, slots=3)
    job = search.finish()
    assert job.status == JobStatus.COMPLETED
    one, three, whole = reached(search)
    assert one == 9
    assert 9 > three >= whole >= 1
    assert sum(search.epochs.values()) == one + 2 * three + 6 * whole
    assert {len(search.curve(row)) for row in search.rows()} <= {1, 3, MAX_EPOCHS}
    assert job.best is not None
    assert job.best.value == min(row.trial.value for row in search.rows() if row.trial and row.trial.value is not None)
    paused = [row for row in search.rows() if row.status == TrainingStatus.PAUSED]
    assert len(paused) == 9 - whole
    reasons = [store.trainings.get_training(row.id).attempts[-1].reason or "" for row in paused]
    assert all(reason.startswith("paused after epoch ") for reason in reasons)
    assert search.states() == []  # what they have kept is gone with the job
    assert store.rungs.some_rung_records(job.id, 1) == []


@pytest.mark.parametrize(("database", "seed"), SEEDS, indirect=["database"])
def test_passes_and_runs_that_die_change_nothing_of_that(store: Store, tmp_path: Path, seed: int) -> None:
    search = SimulatedSearch(store, tmp_path, job_with(), loss, slots=3, chance=random.Random(seed))
    job = search.finish()
    assert job.status == JobStatus.COMPLETED
    one, three, whole = reached(search)
    assert (one, sum(search.epochs.values())) == (9, 9 + 2 * three + 6 * whole)
    assert max(search.begun.values()) == 1  # no attempt runs twice
    assert search.states() == []


def test_it_shows_the_best_so_far_before_any_has_run_to_its_end(store: Store, tmp_path: Path) -> None:
    search = SimulatedSearch(store, tmp_path, job_with(), loss, slots=3)
    for _ in range(3):
        search.round()
        search.live()
    search.round()
    job = store.jobs.get_job(search.job.id)
    assert job.best is not None
    assert job.best.value == 10.0 - job.best.number + 1
    assert store.rungs.count_rung(job.id, 1) == 3


def test_no_more_are_open_than_the_search_allows(store: Store, tmp_path: Path) -> None:
    search = SimulatedSearch(store, tmp_path, job_with(max_concurrent=2), loss, slots=9)
    while not search.round():
        counts = store.trainings.count_trainings(search.job.id)
        assert sum(counts.get(status, 0) for status in ("new", "queued", "running")) <= 2
        search.live()
    assert store.jobs.get_job(search.job.id).status == JobStatus.COMPLETED


def test_when_the_best_fail_the_next_best_is_carried_to_its_end(store: Store, tmp_path: Path) -> None:
    def failing(training: Training, epoch: int) -> float:
        assert training.trial is not None
        return float("nan") if epoch > 3 and training.trial.number > 5 else loss(training, epoch)

    search = SimulatedSearch(store, tmp_path, job_with(max_trials=9), failing, slots=9)
    job = search.finish(per_round=9)
    assert job.status == JobStatus.COMPLETED
    assert job.best is not None
    assert job.best.number <= 5
    assert search.curve(search.rows()[job.best.number]) == list(range(1, MAX_EPOCHS + 1))


def test_without_a_finite_value_it_fails(store: Store, tmp_path: Path) -> None:
    search = SimulatedSearch(store, tmp_path, job_with(max_trials=3), lambda training, epoch: float("inf"))
    job = search.finish()
    assert (job.status, job.error) == (JobStatus.FAILED, "no trial gave a finite val_loss")
    assert search.states() == []


def test_when_its_time_is_over_only_the_best_is_carried_to_its_end(store: Store, tmp_path: Path) -> None:
    search = SimulatedSearch(store, tmp_path, job_with(max_trials=100, max_time=2, max_concurrent=4), loss)
    job = search.finish(per_round=4)
    assert job.status == JobStatus.COMPLETED
    assert sorted(len(search.curve(row)) for row in search.rows()) == [1, 1, 1, MAX_EPOCHS]
    assert search.epochs[job.best.number if job.best else -1] == MAX_EPOCHS


def test_a_canceled_one_leaves_nothing_behind(store: Store, tmp_path: Path) -> None:
    search = SimulatedSearch(store, tmp_path, job_with(), loss)
    for _ in range(3):
        search.round()
        search.live()
    assert search.states() != []
    cancel_job(store, {"local": search.backend}, search.job.id, later(100))
    job = search.finish()
    assert job.status == JobStatus.CANCELED
    assert search.states() == []


def test_a_paused_trial_that_a_person_retries_runs_to_its_end(store: Store, tmp_path: Path) -> None:
    search = SimulatedSearch(store, tmp_path, job_with(max_trials=4, max_concurrent=1), loss, slots=1)
    while not any(row.is_paused() for row in search.rows()):
        search.round()
        search.live()
    row = next(row for row in search.rows() if row.is_paused())
    assert retry_job(store, search.job.id, later(50)) == 0  # it goes on when its search says so
    retry_training(store, row.id, later(50))
    search.finish()
    again = store.trainings.get_training(row.id)
    assert again.status == TrainingStatus.COMPLETED
    assert search.curve(again) == list(range(1, MAX_EPOCHS + 1))
    assert again.trial is not None
    assert search.epochs[again.trial.number] == MAX_EPOCHS  # from its checkpoint


def test_a_loser_that_is_retried_after_the_end_runs_anew_to_its_end(store: Store, tmp_path: Path) -> None:
    search = SimulatedSearch(store, tmp_path, job_with(max_trials=4), loss)
    search.finish()
    loser = next(row for row in search.rows() if row.is_paused())
    retry_training(store, loser.id, later(900))
    search.seconds = 1000
    while not search.round():
        search.live()
    assert store.trainings.get_training(loser.id).status == TrainingStatus.COMPLETED


def test_the_priority_of_those_that_go_on_is_their_jobs(store: Store, tmp_path: Path) -> None:
    search = SimulatedSearch(store, tmp_path, job_with(), loss)
    search.round()
    store.jobs.set_job_priority(search.job.id, 7)
    search.finish()
    promoted = [row for row in search.rows() if row.attempt > 1]
    assert promoted
    assert {row.priority for row in promoted} == {7}
