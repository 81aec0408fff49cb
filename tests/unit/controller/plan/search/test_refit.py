"""The final training of a search: made once, from the winner, and the job ends with it."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.controller.loop import Controller
from mitorch_service.errors import AlreadyExists, InvalidInput, NotAllowed, NotFound
from mitorch_service.insights.explanation import explanation
from mitorch_service.insights.waiting.why import why_job
from mitorch_service.models.attempts.run_state import RunState
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.models.search.job import Job, SearchConfig, refit_id, trial_id
from mitorch_service.models.status import AttemptOutcome, JobStatus, TrainingStatus
from mitorch_service.models.training import Training, TrainingErrorInfo, run_name
from mitorch_service.operations import lifecycle
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.runs import RunEnd
from mitorch_service.submission.submission import Options, build_submission
from tests.fakes import FakeBackend, HookedStore, primitives
from tests.samples import CONFIG, NOW, SPACE, a_dataset, a_job, later

REFIT = {"max_epochs": 200, "early_stopping": {"max_plateau_count": 5}}


class Service:
    """A controller with one node, whose runs do as the test says."""

    def __init__(self, store: Store) -> None:
        self.store, self.backend = store, FakeBackend("local", slots=1)
        self.controller = Controller(store, {"local": self.backend})
        self.seconds = 0.0

    def job(self, **search: Any) -> Job:
        """A queued search of two trials."""
        values = {"algorithm": "random", "max_trials": 2, "seed": 3, "refit": REFIT, **search}
        job = a_job(config=SPACE, search=SearchConfig(**values), priority=7, name="mine", tags=["a=b"])
        self.store.jobs.add_job(job)
        return job

    def tick(self) -> str:
        """The output of a pass an hour later."""
        self.seconds += 3600
        return "\n".join(event.text for event in self.controller.tick(later(self.seconds)).events)

    def finish(self, outcome: AttemptOutcome = AttemptOutcome.COMPLETED, value: float = 0.5) -> Training:
        """The training that runs ends so; returns it."""
        row = next(iter(self.store.queue.active_trainings().items))
        at, trial = later(self.seconds + 1800), row.trial
        self.store.runs.start_training(row.id, row.attempt, "w", later(self.seconds))
        error = TrainingErrorInfo(type="Error", message="out of luck") if outcome == AttemptOutcome.FAILED else None
        end = RunEnd(
            outcome,
            {"val_loss": value},
            error,
            {"model": f"/weights/{row.id}"},
            value if trial and error is None else None,
        )
        self.store.runs.finish_training(row.id, row.attempt, "w", at, end)
        self.backend.end(run_name(row.id, row.attempt), RunState.SUCCEEDED, exit_code=0)
        return self.store.trainings.get_training(row.id)

    def search(self) -> list[Training]:
        """Both trials, the second is the better one; then the pass that ends the search."""
        self.tick()
        ended = [self.finish(value=0.5)]
        self.tick()
        ended.append(self.finish(value=0.25))
        return ended


@pytest.fixture
def service(store: Store) -> Service:
    return Service(store)


def test_the_final_training_has_the_winners_option_whatever_its_label(service: Service) -> None:
    options = [{"name": "sgd"}, {"name": "sgd", "momentum": 0.9}, "sgd"]
    config = {**CONFIG, "optimizer": {"_choice": options}, "batch_size": {"_choice": [8, 8.0, "8"]}}
    search = SearchConfig(algorithm="grid", max_trials=9, max_concurrent=1, seed=3, refit={"max_epochs": 9})
    job = a_job(config=config, search=search)
    service.store.jobs.add_job(job)
    for number in range(9):
        service.tick()
        service.finish(value=0.1 if number == 4 else 0.5)
    service.tick()
    best = service.store.jobs.get_job(job.id).best
    assert best is not None
    assert (best.number, best.options) == (4, {"optimizer": 1, "batch_size": 1})
    refit = service.store.trainings.get_training(refit_id(job.id))
    assert refit.config["optimizer"] == {"name": "sgd", "momentum": 0.9}
    assert isinstance(refit.config["batch_size"], float)


def test_the_winner_is_trained_once_more_and_the_job_has_its_weights(service: Service) -> None:
    job = service.job()
    _, winner = service.search()
    assert f"job {job.id[:8]}: its final training {refit_id(job.id)[:8]} queued" in service.tick()
    refit = service.store.trainings.get_training(refit_id(job.id))
    assert refit.status == TrainingStatus.QUEUED  # launched by the same pass
    assert (refit.config["max_epochs"], refit.max_epochs) == (200, 200)
    assert refit.config["lr_scheduler"] == winner.config["lr_scheduler"]
    assert refit.config["objective"] == "val_loss"
    assert refit.config["early_stopping"] == {"max_plateau_count": 5}
    assert TrainingConfig.model_validate(refit.config)
    assert (refit.priority, refit.name, refit.tags, refit.dataset) == (7, "mine", ["a=b"], job.dataset)
    assert refit.refit is not None
    assert winner.trial is not None
    assert (refit.refit.job_id, refit.refit.number, refit.refit.parameters) == (job.id, 1, winner.trial.parameters)

    running = service.store.jobs.get_job(job.id)
    assert running.status == JobStatus.RUNNING
    assert running.best is not None
    assert (running.best.number, running.best.model, running.best.refit) == (1, f"/weights/{winner.id}", None)
    service.finish(value=0.1)
    service.tick()
    done = service.store.jobs.get_job(job.id)
    assert (done.status, done.note, done.counts) == (JobStatus.COMPLETED, None, {"completed": 2})
    assert done.best is not None
    assert (done.best.training_id, done.best.value) == (winner.id, 0.25)
    assert (done.best.refit, done.best.refit_value) == (refit.id, 0.1)
    assert done.best.model == done.artifacts["model"] == f"/weights/{refit.id}"


def test_it_is_no_trial(service: Service) -> None:
    job = service.job()
    service.search()
    service.tick()
    service.finish(value=0.01)
    store = service.store
    assert store.trainings.count_trainings(job.id) == {"completed": 2}
    assert store.jobs.last_trial_number(job.id, job.arrival) == 1
    assert [row.trial.number for row in store.jobs.iterate_trials(job.id)] == [0, 1]
    assert [row.trial and row.trial.number for row in store.jobs.best_trials(job.id, "minimize", 9).items] == [1, 0]


@pytest.mark.parametrize("outcome", [AttemptOutcome.FAILED, AttemptOutcome.CANCELED, AttemptOutcome.DIVERGED])
def test_if_it_ends_badly_the_model_is_the_best_trials(service: Service, outcome: AttemptOutcome) -> None:
    job = service.job()
    _, winner = service.search()
    service.tick()
    service.finish(outcome)
    service.tick()
    done = service.store.jobs.get_job(job.id)
    assert (done.status, done.artifacts) == (JobStatus.COMPLETED, {"model": f"/weights/{winner.id}"})
    assert done.best is not None
    assert (done.best.refit, done.best.refit_value) == (None, None)
    why = " (out of luck)" if outcome == AttemptOutcome.FAILED else ""
    assert done.note == f"its final training (search.refit) is {outcome.value}{why}: the model is the best trial's"


def test_two_passes_at_once_make_it_once_and_a_late_one_changes_nothing(service: Service) -> None:
    job = service.job()
    service.search()
    seen = service.controller.observe(NOW)
    assert [state.refit for state in seen.jobs] == [None]
    slow = Controller(service.store, {"local": service.backend})
    slow.observe = lambda now: seen  # type: ignore[method-assign]
    service.tick()
    slow.tick(later(service.seconds))
    assert service.store.trainings.count_trainings() == {"completed": 2, "queued": 1}
    refit = service.finish(value=0.1)
    service.tick()
    done = service.store.jobs.get_job(job.id)
    slow.tick(later(service.seconds))
    assert service.store.trainings.get_training(refit.id) == refit
    assert service.store.jobs.get_job(job.id) == done
    assert (done.status, service.store.trainings.count_trainings()) == (JobStatus.COMPLETED, {"completed": 3})


@pytest.mark.parametrize("seed", range(25))
def test_a_pass_that_dies_anywhere_is_continued(store: Store, seed: int) -> None:
    chance = random.Random(seed)
    calm = False

    def die(operation: str) -> None:
        if not calm and chance.random() < 0.15:
            raise KeyboardInterrupt

    service = Service(HookedStore(store, die))
    job = a_job(config=SPACE, search=SearchConfig(algorithm="random", max_trials=2, seed=3, refit=REFIT))
    store.jobs.add_job(job)
    real = Service(store)
    real.backend = service.backend
    for step in range(200):
        calm = step > 150
        with suppress(KeyboardInterrupt):
            service.tick()
        real.seconds = service.seconds
        if store.queue.active_trainings().items and chance.random() < 0.5:
            real.finish(value=chance.random())
    done = store.jobs.get_job(job.id)
    assert (done.status, done.artifacts) == (JobStatus.COMPLETED, {"model": f"/weights/{refit_id(job.id)}"})
    assert store.trainings.count_trainings() == {"completed": 3}
    assert all(
        len(store.trainings.get_training(id).attempts) == 1
        for id in (refit_id(job.id), done.best and done.best.refit)
        if id
    )


def test_a_spent_budget_leaves_it_out_and_time_does_not(service: Service) -> None:
    poor = service.job(max_cost=0.4)
    service.controller = Controller(service.store, {"local": service.backend})
    service.tick()
    row = next(iter(service.store.queue.active_trainings().items))
    attempt = row.attempts[0].model_copy(update={"price": 1.0}).to_document()
    service.store.studies.change_study_trial(row.id, {}, {"attempts.0": attempt})
    winner = service.finish()
    service.tick()
    service.tick()
    done = service.store.jobs.get_job(poor.id)
    assert (done.status, done.artifacts) == (JobStatus.COMPLETED, {"model": f"/weights/{winner.id}"})
    assert done.note == "its budget of 0.40 is spent: no new trials and no final training"
    assert store_has_no(service.store, poor)

    hasty = service.job(max_time=1, max_concurrent=2)
    service.store.studies.change_study(hasty.id, {}, {"created_at": later(service.seconds + 3600)})
    service.tick()
    service.finish()
    service.tick()
    service.finish()
    service.tick()
    assert service.store.trainings.get_training(refit_id(hasty.id)).status == TrainingStatus.QUEUED


def store_has_no(store: Store, job: Job) -> bool:
    """Whether a job has no final training."""
    try:
        return store.trainings.get_training(refit_id(job.id)) is None
    except NotFound:
        return True


def test_a_search_without_a_winner_has_none(service: Service) -> None:
    job = service.job()
    for _ in range(2):
        service.tick()
        service.finish(AttemptOutcome.FAILED)
    service.tick()
    assert service.store.jobs.get_job(job.id).status == JobStatus.FAILED
    assert store_has_no(service.store, job)


def test_orders_reach_it(service: Service, tmp_path: Path) -> None:
    job = service.job()
    service.search()
    service.tick()
    artifacts, backends = FolderArtifactStore(tmp_path), {"local": service.backend}
    refit = refit_id(job.id)
    assert lifecycle.prioritise_job(service.store, job.id, 3) == 1
    assert service.store.trainings.get_training(refit).priority == 3
    state = service.controller.observe(NOW).jobs[0]
    assert why_job(state).reasons[-1] == f"it ends with its final training {refit} (queued)"
    assert lifecycle.cancel_job(service.store, backends, job.id, NOW) == 1
    service.tick()
    assert service.store.trainings.get_training(refit).status == TrainingStatus.CANCELED
    with pytest.raises(NotAllowed):  # the job is still there to make it again
        lifecycle.delete_training(service.store, artifacts, refit)
    service.tick()
    assert (service.store.jobs.get_job(job.id).status, service.store.jobs.get_job(job.id).artifacts) == (
        JobStatus.CANCELED,
        {},
    )
    service.store.queue.retry_training(refit, NOW)
    with pytest.raises(NotAllowed):
        lifecycle.delete_job(service.store, artifacts, job.id)
    lifecycle.cancel_training(service.store, backends, refit, NOW)
    assert lifecycle.delete_job(service.store, artifacts, job.id) == 2
    assert service.store.trainings.count_trainings() == {}


def test_a_job_that_is_canceled_between_cancels_it_too(service: Service) -> None:
    job = service.job()
    service.search()
    service.tick()
    service.store.jobs.request_job_cancel(job.id, NOW)  # by somebody who dies then
    assert "cancellation requested" in service.tick()
    assert service.store.jobs.get_job(job.id).status == JobStatus.RUNNING
    for _ in range(3):  # asks the run, sees it gone, ends the job
        service.tick()
    assert service.store.trainings.get_training(refit_id(job.id)).status == TrainingStatus.CANCELED
    assert service.store.jobs.get_job(job.id).status == JobStatus.CANCELED


def test_a_trial_that_is_retried_and_wins_meanwhile_does_not_get_the_weights_of_another(service: Service) -> None:
    job = service.job()
    service.tick()
    service.finish(AttemptOutcome.DIVERGED)
    service.tick()
    service.finish(value=0.25)
    service.store.studies.change_study_trial(trial_id(job.id, 0), {}, {"trial.value": None})
    service.tick()
    service.store.queue.retry_training(trial_id(job.id, 0), NOW)
    service.finish(value=0.1)  # the final training
    service.tick()
    assert service.store.jobs.get_job(job.id).status == JobStatus.RUNNING
    winner = service.finish(value=0.05)
    service.tick()
    done = service.store.jobs.get_job(job.id)
    assert (done.status, done.artifacts) == (JobStatus.COMPLETED, {"model": f"/weights/{winner.id}"})
    assert done.best is not None
    assert (done.best.number, done.best.refit) == (0, None)
    told = "its final training (search.refit) is of a trial that is no longer the best: the model is the best trial's"
    assert done.note == told


def test_a_winner_that_is_not_of_the_space_any_more_keeps_its_model(service: Service) -> None:
    job = service.job()
    _, winner = service.search()
    service.store.studies.change_study_trial(winner.id, {}, {"trial.parameters": {"lr_scheduler.base_lr": 77}})
    service.tick()
    done = service.store.jobs.get_job(job.id)
    assert (done.status, done.artifacts) == (JobStatus.COMPLETED, {"model": f"/weights/{winner.id}"})
    assert done.note is not None
    assert done.note.startswith(
        "its final training (search.refit) cannot be created: the parameters of its trial 1 are not"
    )


def test_one_that_cannot_be_read_holds_up_nothing(service: Service) -> None:
    job = service.job()
    service.search()
    primitives(service.store).insert(
        "trainings", [{"_id": refit_id(job.id), "status": "new", "priority": 1, "arrival": 1}]
    )
    service.tick()
    done = service.store.jobs.get_job(job.id)
    assert done.status == JobStatus.COMPLETED
    assert "its final training (search.refit) is failed" in str(done.note)


def submitted(store: Store, refit: Any, **config: Any) -> Job:
    """The job that a file with this refit asks for."""
    with suppress(AlreadyExists):
        store.datasets.add_dataset(a_dataset())
    search = {"algorithm": "random", "max_trials": 4, "refit": refit}
    data: dict[str, Any] = {"job_type": "search", "dataset": "digits", "config": {**SPACE, **config}, "search": search}
    job = build_submission(store, "job.json", data, Options(), NOW)
    assert isinstance(job, Job)
    return job


@pytest.mark.parametrize(("given", "kept"), [(True, {}), ({}, {}), (False, None), (None, None), (REFIT, REFIT)])
def test_what_may_be_given(store: Store, given: Any, kept: Any) -> None:
    job = submitted(store, given)
    assert job.search.refit == kept
    assert ("then the winner is trained once more" in "\n".join(explanation(job))) == (kept is not None)


WRONG: dict[str, tuple[Any, str]] = {
    "no object": (3, "search.refit: must be an object {…} (it is 3)"),
    "a key": (
        {"max_epoch": 3},
        "search.refit: gives a final training with a wrong config: max_epoch: unkn",
    ),
    "a value": ({"max_epochs": 0}, "wrong config: max_epochs: must be 1 or more (it is 0)"),
    "what is missing then": (
        {"model": None},
        "search.refit: gives a final training with a wrong config: model: is",
    ),
    "an expression": (
        {"batch_size": {"_choice": [1, 2]}},
        "search.refit.batch_size: is an expression, but there is",
    ),
    "a wrong expression": ({"batch_size": {"_chioce": [1]}}, "search.refit.batch_size: _chioce is no expression"),
    "a data set": ({"dataset": "other"}, "search.refit.dataset: is the job's: remove it"),
    "another script": ({"script": {"command": "x"}}, "search.refit.script: is the job's, only its parameters may"),
    "one option": (
        {"lr_scheduler": {"name": "one_cycle"}},
        "wrong config: lr_scheduler: one_cycle has its own",
    ),
}


@pytest.mark.parametrize(("refit", "told"), WRONG.values(), ids=WRONG.keys())
def test_what_may_not(store: Store, refit: Any, told: str) -> None:
    warmup = {"_choice": ["none", "linear"]}
    scheduler = {**SPACE["lr_scheduler"], "warmup": warmup}  # one_cycle is wrong with one of them only
    with pytest.raises(InvalidInput) as caught:
        submitted(store, refit, lr_scheduler=scheduler)
    assert told in str(caught.value)
