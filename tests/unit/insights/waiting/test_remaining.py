"""The estimated time to the end of trainings and jobs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from mitorch_service.insights.waiting.remaining import job_remaining, training_remaining
from mitorch_service.models.search.job import SearchConfig
from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import Progress
from mitorch_service.stores.verbs.costs import Account
from tests.samples import NOW, a_job, a_training, a_trial, an_attempt, later

RUNNING = TrainingStatus.RUNNING


def progress(**fields: Any) -> Progress:
    return Progress(**{"epoch": 4, "max_epochs": 10, "epoch_seconds": 60.0, "at": NOW, **fields})


def test_each_epoch_takes_as_long_as_the_last() -> None:
    training = a_training(status=RUNNING, max_epochs=10, progress=progress())
    assert training_remaining(training, NOW) == timedelta(minutes=6)
    assert training_remaining(training, later(90)) == timedelta(minutes=4, seconds=30)
    assert training_remaining(training, later(9000)) == timedelta()


def test_a_trial_that_pauses_is_estimated_to_its_pause() -> None:
    trial = a_trial(a_job().id, 0, status=RUNNING, max_epochs=10, progress=progress())
    assert trial.trial is not None
    paused = trial.model_copy(update={"trial": trial.trial.model_copy(update={"pause_at": 5})})
    assert training_remaining(paused, NOW) == timedelta(minutes=1)


@pytest.mark.parametrize(
    "fields",
    [
        {"progress": None},
        {"progress": progress(epoch_seconds=None)},  # stored by an earlier version
        {"progress": progress(max_epochs=0), "max_epochs": 0},  # a script whose epochs are not known
        {"status": TrainingStatus.COMPLETED},
    ],
    ids=str,
)
def test_what_is_not_known_is_not_estimated(fields: dict[str, Any]) -> None:
    training = a_training(**{"status": RUNNING, "max_epochs": 10, "progress": progress(), **fields})
    assert training_remaining(training, NOW) is None


def an_account(seconds: float | None) -> Account:
    training = a_training()
    ended = None if seconds is None else later(seconds)
    attempt = an_attempt(training).model_copy(update={"started_at": NOW, "ended_at": ended})
    return Account(id=training.id, status=training.status, arrival=training.arrival, attempts=[attempt])


def test_the_trials_of_a_job_that_are_left_share_what_is_active() -> None:
    job = a_job(status="running", search=SearchConfig(max_trials=10, seed=0))
    accounts = [an_account(3600), an_account(7200), an_account(None)]
    counts = {"completed": 1, "failed": 1, "running": 2}
    assert job_remaining(job, counts, accounts, later(60)) == timedelta(hours=1.5 * 8 / 2)
    assert job_remaining(job, {"running": 2}, [an_account(None)], NOW) is None
    assert job_remaining(job, {"completed": 10}, accounts, NOW) is None
    assert job_remaining(job, counts, None, NOW) is None
    finite = job.model_copy(update={"config": {"model": {"_choice": ["a", "b", "c"]}}})
    assert job_remaining(finite, counts, accounts, later(60)) == timedelta(hours=1.5 * 1 / 2)
