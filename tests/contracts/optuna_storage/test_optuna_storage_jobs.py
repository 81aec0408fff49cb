"""A job of misubmit as a study: what Optuna sees of it, and what it may not do with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import TrialState

from mitorch_service.controller.plan.search.expansion import expand
from mitorch_service.errors import NotAllowed
from mitorch_service.models.search.job import Job, SearchConfig, trial_id
from mitorch_service.models.status import AttemptOutcome
from mitorch_service.models.training import Training, Trial
from mitorch_service.optuna_storage.storage import MiTorchStorage
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.runs import RunEnd
from tests.job_states import a_study
from tests.samples import CONFIG, NOW, a_job, a_result, a_training, an_attempt, later

CONDITIONAL: dict[str, Any] = {
    **CONFIG,
    "optimizer": {"_choice": [{"name": "adamw"}, {"name": "sgd", "momentum": {"_uniform": [0, 0.9], "step": 0.3}}]},
    "batch_size": {"_int": [16, 64], "step": 16},
}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(optuna.logging.INFO)


@pytest.fixture
def storage(store: Store) -> MiTorchStorage:
    return MiTorchStorage(store)


def a_submitted_job(store: Store, trials: int) -> tuple[Job, list[Training]]:
    """A job as misubmit and the controller leave it: trials that wait."""
    job = a_job(config=CONDITIONAL, search=SearchConfig(max_trials=100, seed=0))
    store.jobs.add_job(job)
    added = []
    for number in range(trials):
        parameters = {"optimizer": "sgd", "optimizer.momentum": 0.3, "batch_size": 32}
        trial = Trial(number=number, parameters=parameters, objective="val_loss", direction="minimize")
        added.append(a_training(id=trial_id(job.id, number), job_id=job.id, trial=trial, arrival=job.arrival + number))
    store.queue.add_trainings(added)
    return job, added


def end(store: Store, training: Training, outcome: AttemptOutcome, value: float | None, attempt: int = 1) -> None:
    """Two epochs, and the end."""
    store.queue.claim_training(training.id, an_attempt(training, attempt))
    store.runs.start_training(training.id, attempt, "w", later(1))
    for epoch in (1, 2):
        store.runs.record_epoch(training.id, attempt, 3, a_result(epoch))
    store.runs.finish_training(training.id, attempt, "w", later(2), RunEnd(outcome, trial_value=value))


def test_a_job_of_misubmit_is_a_study(store: Store, storage: MiTorchStorage) -> None:
    job, trainings = a_submitted_job(store, 6)
    ends = (AttemptOutcome.COMPLETED, AttemptOutcome.PRUNED, AttemptOutcome.DIVERGED)
    for training, outcome in zip(trainings, ends, strict=False):
        end(store, training, outcome, 0.75 if outcome == AttemptOutcome.COMPLETED else None)
    end(store, trainings[3], AttemptOutcome.COMPLETED, None)
    store.queue.claim_training(trainings[4].id, an_attempt(trainings[4]))
    store.runs.start_training(trainings[4].id, 1, "w", later(1))
    store.runs.record_epoch(trainings[4].id, 1, 3, a_result(1))
    study = optuna.load_study(storage=storage, study_name=job.id)
    states = [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.FAIL]
    assert [trial.state for trial in study.trials] == [*states, TrialState.RUNNING, TrialState.WAITING]
    first, running = study.trials[0], study.trials[4]
    assert first.params == {"optimizer": "sgd", "optimizer.momentum": 0.3, "batch_size": 32}
    assert first.distributions == {
        "optimizer": CategoricalDistribution(["adamw", "sgd"]),
        "optimizer.momentum": FloatDistribution(0, 0.9, step=0.3),
        "batch_size": IntDistribution(16, 64, step=16),
    }
    assert first.intermediate_values == {1: 1.5, 2: 0.75}
    assert running.intermediate_values == {1: 1.5}
    store.runs.record_epoch(trainings[4].id, 1, 3, a_result(2))
    assert study.trials[4].intermediate_values == {1: 1.5, 2: 0.75}
    assert (first.value, first.user_attrs["training"]) == (0.75, trainings[0].id)
    assert first.datetime_complete is not None and first.datetime_complete.astimezone() == later(2)
    assert (study.best_trial.number, study.best_value) == (0, 0.75)
    assert [summary.study_name for summary in optuna.get_all_study_summaries(storage)] == [job.id]


def test_a_job_for_several_objectives_is_a_study_of_several(store: Store, storage: MiTorchStorage) -> None:
    names = ["val_loss", "top1_accuracy"]
    job = a_job(config=CONDITIONAL, search=SearchConfig(max_trials=9, seed=0, objective=names))
    store.jobs.add_job(job)
    for training, accuracy in zip(expand(job, a_study(job), None, 0, NOW), (0.5, 0.7, None), strict=False):
        store.queue.add_trainings([training])
        store.queue.claim_training(training.id, an_attempt(training))
        store.runs.start_training(training.id, 1, "w", later(1))
        store.runs.record_epoch(training.id, 1, 3, a_result(1))
        values = () if accuracy is None else (0.25, accuracy)
        done = RunEnd(AttemptOutcome.COMPLETED, trial_values=values, job_id=job.id)
        store.runs.finish_training(training.id, 1, "w", later(2), done)
    study = optuna.load_study(storage=storage, study_name=job.id)
    assert study.directions == [StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE]
    assert study.metric_names == names
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE, TrialState.COMPLETE, TrialState.FAIL]
    assert [trial.values for trial in study.trials] == [[0.25, 0.5], [0.25, 0.7], None]
    assert [trial.number for trial in study.best_trials] == [1]
    assert study.trials[0].intermediate_values == {1: 1.5}
    with pytest.raises(RuntimeError):
        _ = study.best_trial


def test_a_script_does_not_take_over_a_job_of_misubmit(store: Store, storage: MiTorchStorage) -> None:
    job, trainings = a_submitted_job(store, 2)
    study = optuna.load_study(storage=storage, study_name=job.id)
    with pytest.raises(NotAllowed, match="a training of misubmit: it cannot be changed by a script"):
        study.ask()  # wants to run the first that waits
    store.queue.request_cancel(trainings[0].id, NOW)
    store.queue.request_cancel(trainings[1].id, NOW)
    with pytest.raises(NotAllowed, match="a job of misubmit: it cannot be given trials by a script"):
        study.ask()
    with pytest.raises(NotAllowed, match="Use micontrol delete"):
        optuna.delete_study(study_name=job.id, storage=storage)
    study.set_user_attr("note", "a person's")
    assert study.user_attrs["note"] == "a person's"
    assert store.jobs.get_job(job.id) == job


def test_a_trial_of_a_job_takes_attributes_while_it_has_not_ended(store: Store, storage: MiTorchStorage) -> None:
    job, (training,) = a_submitted_job(store, 1)
    study = optuna.load_study(storage=storage, study_name=job.id)
    trial_id = study.trials[0]._trial_id
    storage.set_trial_user_attr(trial_id, "seen.by", "me")
    assert study.trials[0].user_attrs["seen.by"] == "me"
    assert store.trainings.get_training(training.id) == training
    end(store, training, AttemptOutcome.COMPLETED, 1.0)
    with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):
        storage.set_trial_user_attr(trial_id, "seen.by", "you")


def test_a_trial_that_is_tried_again_and_one_that_comes_late_are_seen(store: Store, storage: MiTorchStorage) -> None:
    job, trainings = a_submitted_job(store, 6)
    late = trainings.pop(4)
    store.queue.request_cancel(late.id, NOW)
    store.queue.delete_training(late.id)
    for training in trainings:
        end(store, training, AttemptOutcome.FAILED, None)
    study = optuna.load_study(storage=storage, study_name=job.id)
    assert [trial.number for trial in study.trials] == [0, 1, 2, 3, 5]
    store.queue.add_trainings([late])
    assert [trial.number for trial in study.trials] == [0, 1, 2, 3, 4, 5]
    store.queue.retry_training(trainings[1].id, later(3))
    end(store, trainings[1], AttemptOutcome.COMPLETED, 0.5, attempt=2)
    assert study.trials[1].value == 0.5
