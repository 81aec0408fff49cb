"""Trials that a suspended pass adds after another pass has ended their job."""

from __future__ import annotations

from contextlib import suppress

import pytest

from mitorch_service.controller.loop import Controller
from mitorch_service.errors import StoreUnavailable
from mitorch_service.models.base import new_id
from mitorch_service.models.search.job import BestTrial, SearchConfig, refit_id, trial_id
from mitorch_service.models.status import JobStatus, TrainingStatus
from mitorch_service.models.training import Refit, Trial
from mitorch_service.operations.lifecycle import retry_training
from mitorch_service.stores.base import Store
from tests.fakes import FakeBackend, HookedStore, primitives
from tests.samples import a_job, a_training, a_trial, an_attempt, later


def job_that_ends_at(store: Store, operation: str, backend: FakeBackend) -> str:
    """A job that is canceled and ended by another pass before a pass makes its first such operation."""
    job = a_job(search=SearchConfig(max_trials=2, algorithm="random", seed=0))
    store.jobs.add_job(job)
    other = Controller(store, {"local": backend})
    seen: list[str] = []

    def end(now: str) -> None:
        if now == operation and not seen:
            seen.append(now)
            store.jobs.request_job_cancel(job.id, later(1))
            other.tick(later(2))

    Controller(HookedStore(store, end), {"local": backend}).tick(later(0))
    assert store.jobs.get_job(job.id).status == JobStatus.CANCELED
    return job.id


def test_a_trial_that_was_added_to_an_ended_job_is_canceled_and_never_runs(store: Store) -> None:
    backend = FakeBackend("local", 4)
    job = job_that_ends_at(store, "insert", backend)
    assert store.trainings.count_trainings(job) == {"canceled": 2}
    Controller(store, {"local": backend}).tick(later(60))
    assert store.jobs.get_job(job).counts == {"canceled": 2}
    assert not backend.runs


@pytest.mark.parametrize("last", range(1, 5))
def test_the_counts_of_an_ended_job_include_late_trials_wherever_a_pass_dies(store: Store, last: int) -> None:
    """It dies before one of the changes that count and cancel them."""
    job = a_job(status=JobStatus.CANCELED, counts={"completed": 1})
    store.jobs.add_job(job)
    store.queue.add_trainings([a_trial(job.id, 0, status=TrainingStatus.COMPLETED), a_trial(job.id, 1)])
    store.queue.add_trainings([a_trial(job.id, 2)])
    changes = 0

    def die(operation: str) -> None:
        nonlocal changes
        changes += operation == "change"
        if changes == last:
            raise StoreUnavailable("of a test", "is gone", "Wait.")

    with suppress(StoreUnavailable):
        Controller(HookedStore(store, die), {"local": FakeBackend("local", 4)}).tick(later(30))
    for second in (60, 120, 180):
        Controller(store, {"local": FakeBackend("local", 4)}).tick(later(second))
    assert store.jobs.get_job(job.id).counts == {"completed": 1, "canceled": 2}
    assert store.trainings.count_trainings(job.id) == {"completed": 1, "canceled": 2}


def test_trials_that_a_pass_cancels_are_counted_if_the_one_that_ended_their_job_has_died(store: Store) -> None:
    """It had seen none of them, ended the job, and died before it looked for late ones."""
    job = a_job(status=JobStatus.RUNNING)
    store.jobs.add_job(job)
    store.queue.add_trainings([a_trial(job.id, 0), a_trial(job.id, 1)])
    store.jobs.request_job_cancel(job.id, later(1))
    ended: list[str] = []

    def end(operation: str) -> None:
        if operation == "change" and not ended:
            ended.append(operation)
            assert store.jobs.finish_job(job.id, JobStatus.CANCELED, later(2), None, {}, None)

    Controller(HookedStore(store, end), {"local": FakeBackend("local", 4)}).tick(later(30))
    assert store.trainings.count_trainings(job.id) == {"canceled": 2}
    Controller(store, {"local": FakeBackend("local", 4)}).tick(later(90))
    assert store.jobs.get_job(job.id).counts == {"canceled": 2}


@pytest.mark.parametrize("passes", [(60, 600), (60, 600, 7200)])
def test_a_trial_that_a_pass_with_an_older_view_has_started_is_stopped_and_counted(
    store: Store, passes: tuple[int, ...]
) -> None:
    """It was added long after the end of its job by a pass that died then, and started by another one that had seen the
    job alive: before the last of these `passes`, seconds after the end."""
    job, backend = a_job(status=JobStatus.RUNNING), FakeBackend("local", 4)
    store.jobs.add_job(job)
    assert store.jobs.finish_job(job.id, JobStatus.CANCELED, later(0), None, {}, None)
    controller = Controller(store, {"local": backend})
    for second in passes[:-1]:
        controller.tick(later(second))
    trial = a_trial(job.id, 0, status=TrainingStatus.QUEUED, attempt=1, fence=1)
    attempt = an_attempt(trial).model_copy(update={"queued_at": later(passes[-1] - 90)})
    store.queue.add_trainings([trial.model_copy(update={"attempts": [attempt]})])
    backend.submit(backend.prepare(trial.id, 1))
    controller.tick(later(passes[-1] - 60))
    assert store.trainings.get_row(trial.id).cancel_requested_at is None  # nothing is looked at all the time
    for second in (0, 60, 120, 180):
        controller.tick(later(passes[-1] + second))
    assert store.trainings.get_row(trial.id).status == TrainingStatus.CANCELED
    assert not backend.running()
    assert store.jobs.get_job(job.id).counts == {"canceled": 1}


@pytest.mark.parametrize("status", [JobStatus.CANCELED, JobStatus.COMPLETED])
def test_the_counts_of_an_ended_job_follow_a_trial_that_a_person_retries(store: Store, status: JobStatus) -> None:
    """Its best trial does so only if it is not completed: then others use its weights as the result."""
    before = BestTrial(training_id=new_id(), number=1, value=0.5, parameters={})
    job = a_job(status=status, counts={"failed": 1}, best=before)
    trial = a_trial(job.id, 0, status=TrainingStatus.FAILED, status_times={"new": later(0), "failed": later(1)})
    store.jobs.add_job(job)
    store.queue.add_trainings([trial])
    controller = Controller(store, {"local": FakeBackend("local", 1)})
    retry_training(store, trial.id, later(10_000))
    controller.tick(later(10_060))
    controller.tick(later(10_660))
    assert (store.jobs.get_job(job.id).counts, store.jobs.get_job(job.id).best) == ({"queued": 1}, before)
    value = Trial(number=0, parameters={"lr": 0.1}, objective="val_loss", direction="minimize", value=0.25)
    ended = trial.model_copy(update={"status": TrainingStatus.COMPLETED, "trial": value})
    primitives(store).replace("trainings", ended.to_document())
    controller.tick(later(11_260))
    last = store.jobs.get_job(job.id)
    assert (last.counts, last.recount_due) == ({"completed": 1}, None)
    assert last.best == before if status == JobStatus.COMPLETED else last.best and last.best.value == 0.25


def test_the_best_trial_of_a_canceled_job_keeps_its_final_training(store: Store) -> None:
    search = SearchConfig(algorithm="random", max_trials=1, refit={"max_epochs": 9})
    job = a_job(status=JobStatus.RUNNING, search=search)
    store.jobs.add_job(job)
    won = Trial(number=0, parameters={"lr": 0.1}, objective="val_loss", direction="minimize", value=0.25)
    final = a_training(
        id=refit_id(job.id),
        status=TrainingStatus.COMPLETED,
        refit=Refit(job_id=job.id, number=0, parameters={"lr": 0.1}),
        evaluation={"val_loss": 0.125},
        artifacts={"model": "final.pth"},
    )
    store.queue.add_trainings([a_training(job_id=job.id, trial=won, status=TrainingStatus.COMPLETED), final])
    assert store.jobs.finish_job(job.id, JobStatus.CANCELED, later(0), None, {}, None)
    Controller(store, {"local": FakeBackend("local", 1)}).tick(later(60))
    best = store.jobs.get_job(job.id).best
    assert best is not None and (best.refit, best.model, best.refit_value) == (final.id, "final.pth", 0.125)


def test_an_ended_job_whose_document_cannot_be_read_is_counted_no_more(store: Store) -> None:
    job = a_job(status=JobStatus.RUNNING)
    store.jobs.add_job(job)
    assert store.jobs.finish_job(job.id, JobStatus.CANCELED, later(0), None, {}, None)
    stored = store.jobs.get_job(job.id).to_document()
    primitives(store).replace("jobs", {**stored, "_id": job.id, "search": "none"})
    report = Controller(store, {"local": FakeBackend("local", 1)}).tick(later(60))
    assert [event.text for event in report.events] == []
    assert store.recounts.due(later(9000), 10).broken == []


def test_the_trials_of_a_job_whose_document_cannot_be_read_are_canceled(store: Store) -> None:
    job = a_job()
    store.jobs.add_job(job)
    store.queue.add_trainings([a_trial(job.id, number) for number in range(3)])
    primitives(store).replace("jobs", {**job.to_document(), "_id": job.id, "search": "none"})
    for second in (30, 60):
        Controller(store, {"local": FakeBackend("local", 4)}).tick(later(second))
    assert store.trainings.count_trainings(job.id) == {"canceled": 3}


def test_a_trial_of_an_ended_job_is_found_at_its_turn_if_whoever_added_it_has_died(store: Store) -> None:
    backend = FakeBackend("local", 4)
    job = a_job(status=JobStatus.CANCELED)
    store.jobs.add_job(job)
    store.queue.add_trainings(
        [a_trial(job.id, 0), a_trial(job.id, 1, status_times={"new": later(0), "failed": later(1)})]
    )
    Controller(store, {"local": backend}).tick(later(60))
    assert store.trainings.count_trainings(job.id) == {"canceled": 1, "queued": 1}


def test_a_pass_that_finds_the_job_ended_adds_none(store: Store) -> None:
    job = job_that_ends_at(store, "count", FakeBackend("local", 4))
    assert store.trainings.count_trainings(job) == {}


def test_a_trial_that_a_person_retries_runs_though_its_job_has_ended(store: Store) -> None:
    backend = FakeBackend("local", 1)
    job = job_that_ends_at(store, "insert", backend)
    controller = Controller(store, {"local": backend})
    controller.tick(later(60))
    retry_training(store, trial_id(job, 0), later(70))
    controller.tick(later(80))
    assert store.trainings.get_row(trial_id(job, 0)).status == TrainingStatus.QUEUED
