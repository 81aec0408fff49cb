"""Jobs, their trials, and the data set registry."""

from __future__ import annotations

from typing import Any

import pytest

from mitorch_service.errors import AlreadyExists, NotAllowed, NotFound
from mitorch_service.models.base import new_id
from mitorch_service.models.dataset import DatasetRef, SplitContents, SplitLeaks
from mitorch_service.models.search.job import BestTrial, refit_id
from mitorch_service.models.search.objectives import Direction
from mitorch_service.models.status import AttemptOutcome, JobStatus
from mitorch_service.models.training import Refit, Training, TrainingRow
from mitorch_service.stores.base import Store
from mitorch_service.stores.requests import Listing
from mitorch_service.stores.verbs.runs import RunEnd
from tests.fakes import primitives
from tests.samples import NOW, a_dataset, a_job, a_training, a_trial, an_attempt, later

BEST = BestTrial(training_id=new_id(), number=1, value=0.5, parameters={"lr": 0.1})


def test_a_job_is_added_once(store: Store) -> None:
    job = a_job()
    assert store.jobs.add_job(job)
    assert not store.jobs.add_job(job)
    assert store.jobs.get_job(job.id) == job
    with pytest.raises(NotFound):
        store.jobs.get_job(new_id())


def test_active_jobs_are_ordered_by_priority_then_arrival(store: Store) -> None:
    jobs = [a_job(priority=p) for p in (100, 1, 100)]
    ended = a_job(status=JobStatus.COMPLETED)
    for job in [*reversed(jobs), ended]:
        store.jobs.add_job(job)
    store.jobs.update_job(jobs[0].id, {"new": 1}, None, NOW)
    assert [job.id for job in store.jobs.active_jobs().items] == [jobs[1].id, jobs[0].id, jobs[2].id]
    assert [job.id for job in store.jobs.list_jobs(2).items] == [ended.id, jobs[2].id]


def test_ended_jobs_are_found_when_their_counts_are_to_be_looked_at(store: Store) -> None:
    first, second, active = (a_job(status=JobStatus.RUNNING) for _ in range(3))
    for job in (first, second, active):
        store.jobs.add_job(job)
    store.jobs.finish_job(second.id, JobStatus.COMPLETED, later(5), None, {}, None)
    store.jobs.finish_job(first.id, JobStatus.CANCELED, later(2), None, {}, None)
    store.recounts.ask(active.id, later(0))  # it has not ended
    store.recounts.ask(new_id(), later(0))
    assert store.recounts.due(later(61), 10).items == []
    assert [job.id for job in store.recounts.due(later(65), 10).items] == [first.id, second.id]
    assert [job.id for job in store.recounts.due(later(65), 1).items] == [first.id]
    store.recounts.forget(first.id)
    assert [job.id for job in store.recounts.due(later(65), 10).items] == [second.id]


def test_the_counts_of_an_ended_job_are_corrected_by_whoever_has_read_the_latest(store: Store) -> None:
    active, ended = a_job(), a_job(status=JobStatus.RUNNING)
    for job in (active, ended):
        store.jobs.add_job(job)
    store.jobs.finish_job(ended.id, JobStatus.CANCELED, later(2), None, {"canceled": 2}, None)
    read = store.jobs.get_job(ended.id)
    assert store.recounts.correct(read, {"completed": 1, "canceled": 4}, BEST, later(600))
    assert not store.recounts.correct(read, {"canceled": 3}, None, None)  # another pass was faster
    read = store.jobs.get_job(ended.id)
    store.recounts.ask(ended.id, later(100))
    assert not store.recounts.correct(read, {"canceled": 3}, None, None)  # it was asked for since
    assert not store.recounts.correct(active, {"canceled": 3}, None, None)
    last = store.jobs.get_job(ended.id)
    assert (last.counts, last.best) == ({"completed": 1, "canceled": 4}, BEST)
    assert store.recounts.correct(last, {"canceled": 5}, None, None)
    assert store.jobs.get_job(ended.id).best is None
    assert store.recounts.due(later(10**9), 10).items == []


def test_progress_and_end_of_a_job_are_recorded_while_it_is_active(store: Store) -> None:
    job = a_job()
    store.jobs.add_job(job)
    assert store.jobs.update_job(job.id, {"completed": 2}, BEST, later(1))
    assert store.jobs.finish_job(job.id, JobStatus.COMPLETED, later(2), None, {"completed": 4}, BEST)
    assert not store.jobs.update_job(job.id, {}, None, later(3))
    assert not store.jobs.finish_job(job.id, JobStatus.FAILED, later(3), "late", {}, None)
    back = store.jobs.get_job(job.id)
    assert (back.status, back.counts, back.best) == (JobStatus.COMPLETED, {"completed": 4}, BEST)
    assert back.status_times["completed"] == later(2)


def test_a_job_has_been_running_since_it_started(store: Store) -> None:
    job, other = a_job(), a_job()
    store.jobs.add_job(job)
    store.jobs.add_job(other)
    assert store.jobs.start_job(job.id, later(1))
    assert not store.jobs.start_job(job.id, later(2))
    for seconds in (3, 4):
        assert store.jobs.update_job(job.id, {"running": seconds}, None, later(seconds))
        assert store.jobs.update_job(other.id, {"running": seconds}, None, later(seconds))
    back = store.jobs.get_job(job.id)
    assert (back.status, back.counts, back.status_times["running"]) == (JobStatus.RUNNING, {"running": 4}, later(1))
    assert store.jobs.get_job(other.id).status_times["running"] == later(3)


def test_the_last_trial_number_is_found(store: Store) -> None:
    job = new_id()
    assert store.jobs.last_trial_number(job, 1000) is None
    store.queue.add_trainings([a_trial(job, number, arrival=1000 + number) for number in (0, 10, 9, 2)])
    assert store.jobs.last_trial_number(job, 1000) == 10
    primitives(store).insert("trainings", [{**a_trial(job, 11, arrival=1011).to_document(), "trial": {"number": "?"}}])
    primitives(store).insert("trainings", [{**a_trial(job, 12).to_document(), "arrival": "late"}])
    assert store.jobs.last_trial_number(job, 1000) == 11


@pytest.mark.parametrize(("direction", "expected"), [("minimize", [1, 2, 0]), ("maximize", [0, 2, 1])])
def test_the_best_trials_come_first(store: Store, direction: str, expected: list[int]) -> None:
    job = new_id()
    trials = [a_trial(job, number) for number in range(4)]
    store.queue.add_trainings(trials)
    for trial, value in zip(trials, (0.9, -0.5, 0.0, None), strict=True):
        store.queue.claim_training(trial.id, an_attempt(trial))
        store.runs.start_training(trial.id, 1, "w", NOW)
        store.runs.finish_training(trial.id, 1, "w", NOW, RunEnd(AttemptOutcome.COMPLETED, trial_value=value))
    best = store.jobs.best_trials(job, direction, 10).items  # type: ignore[arg-type]
    assert [row.trial.number for row in best if row.trial] == expected
    assert store.jobs.best_trials(job, direction, 1).items == best[:1]  # type: ignore[arg-type]


def test_open_trials_are_those_that_have_not_ended(store: Store) -> None:
    job = new_id()
    trials = [a_trial(job, number) for number in range(3)]
    store.queue.add_trainings([*trials, a_trial(new_id(), 0)])
    store.queue.request_cancel(trials[0].id, NOW)
    store.queue.claim_training(trials[1].id, an_attempt(trials[1]))
    assert {row.id for row in store.jobs.open_trials(job, 10).items} == {trials[1].id, trials[2].id}


def test_an_ended_job_takes_no_orders(store: Store) -> None:
    job = a_job(status=JobStatus.COMPLETED)
    store.jobs.add_job(job)
    with pytest.raises(NotAllowed, match="completed"):
        store.jobs.request_job_cancel(job.id, NOW)
    with pytest.raises(NotAllowed, match="completed"):
        store.jobs.set_job_priority(job.id, 1)
    store.jobs.delete_job(job.id)
    with pytest.raises(NotFound):
        store.jobs.delete_job(job.id)


def test_an_active_job_is_not_deleted(store: Store) -> None:
    job = a_job()
    store.jobs.add_job(job)
    with pytest.raises(NotAllowed, match="Cancel it first"):
        store.jobs.delete_job(job.id)
    store.jobs.request_job_cancel(job.id, later(1))
    assert store.jobs.get_job(job.id).cancel_requested_at == later(1)


def test_a_broken_job_is_told_apart_and_can_be_put_aside(store: Store) -> None:
    broken, good = a_job(), a_job()
    document = broken.to_document()
    document["search"] = {"max_trials": "many"}
    primitives(store).insert("jobs", [document])
    store.jobs.add_job(good)
    listing = store.jobs.active_jobs()
    assert [job.id for job in listing.items] == [good.id]
    assert [b.key for b in listing.broken] == [broken.id]
    store.jobs.quarantine_job(broken.id, NOW, "search.max_trials")
    assert store.jobs.active_jobs().broken == []


def test_a_data_set_version_is_registered_once(store: Store) -> None:
    store.datasets.add_dataset(a_dataset(version=1))
    with pytest.raises(AlreadyExists, match="digits:1"):
        store.datasets.add_dataset(a_dataset(version=1))
    store.datasets.add_dataset(a_dataset(version=10))
    store.datasets.add_dataset(a_dataset(version=9))
    store.datasets.add_dataset(a_dataset(name="animals", version=0))
    listed = [str(dataset.ref) for dataset in store.datasets.list_datasets().items]
    assert listed == ["animals:0", "digits:10", "digits:9", "digits:1"]


def test_a_name_alone_means_the_newest_version(store: Store) -> None:
    for version in (2, 10, 9):
        store.datasets.add_dataset(a_dataset(version=version))
    assert store.datasets.get_dataset(DatasetRef(name="digits")).version == 10
    assert store.datasets.get_dataset(DatasetRef(name="digits", version=9)) == a_dataset(version=9)


def test_several_versions_are_read_at_once_without_those_that_are_gone(store: Store) -> None:
    for version in (1, 2, 3):
        store.datasets.add_dataset(a_dataset(version=version))
    wanted = [DatasetRef(name="digits", version=version) for version in (3, 1, 9, 1)]
    found = store.datasets.read_versions([*wanted, DatasetRef(name="digits")])
    assert sorted(str(dataset.ref) for dataset in found.items) == ["digits:1", "digits:3"]
    assert store.datasets.read_versions([]).items == []


def test_an_unregistered_data_set_is_not_found_and_the_registered_are_named(store: Store) -> None:
    store.datasets.add_dataset(a_dataset(version=2))
    for ref in (DatasetRef(name="digit"), DatasetRef(name="digits", version=3)):
        with pytest.raises(NotFound, match="digits:2"):
            store.datasets.get_dataset(ref)


def test_leaks_are_recorded_with_a_version_and_nothing_else_changes(store: Store) -> None:
    contents = {split: SplitContents(kind="multiclass", images=9, classes=2) for split in ("train", "val")}
    registered = a_dataset(version=1).model_copy(update={"contents": contents})
    store.datasets.add_dataset(registered)
    store.datasets.add_dataset(a_dataset(version=2))
    for near in ([1, 4], []):  # a later check replaces what an earlier one found
        leaks = SplitLeaks(same_file=2, near_duplicates=len(near), near_images=near, recordings="by names", seconds=0.5)
        found = {**contents, "val": contents["val"].model_copy(update={"leaks": leaks})}
        checked = registered.model_copy(update={"contents": found})
        store.datasets.record_leaks(checked)
        assert store.datasets.get_dataset(DatasetRef(name="digits", version=1)) == checked
    assert store.datasets.get_dataset(DatasetRef(name="digits", version=2)) == a_dataset(version=2)
    with pytest.raises(NotFound, match="digits:7"):
        store.datasets.record_leaks(a_dataset(version=7))


def test_a_removed_version_is_gone(store: Store) -> None:
    store.datasets.add_dataset(a_dataset(version=1))
    store.datasets.add_dataset(a_dataset(version=2))
    store.datasets.remove_dataset(DatasetRef(name="digits", version=2))
    assert store.datasets.get_dataset(DatasetRef(name="digits")).version == 1


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_many_best_trials_come_page_by_page_each_once(
    store: Store, monkeypatch: pytest.MonkeyPatch, direction: Direction
) -> None:
    job = new_id()
    trials = [with_value(a_trial(job, number), number // 3 * 0.5) for number in range(10)]  # three of each value
    store.queue.add_trainings([*trials, a_trial(job, 10)])
    asked: list[int] = []
    best_trials = store.jobs.best_trials

    def in_small_pages(id: str, direction: Direction, limit: int, after: Any = None) -> Listing[TrainingRow]:
        asked.append(limit)
        return best_trials(id, direction, min(limit, 2), after)

    whole = store.jobs.best_trials(job, direction, 100).items
    monkeypatch.setattr(store.jobs, "best_trials", in_small_pages)
    assert list(store.jobs.iterate_best_trials(job, direction, 100)) == whole
    assert len(whole) == 10
    assert len(asked) == 6
    assert list(store.jobs.iterate_best_trials(job, direction, 3)) == whole[:3]


def test_a_final_training_is_found_by_its_job_and_is_none_of_its_trials(store: Store) -> None:
    job = a_job()
    trial = with_value(a_trial(job.id, 0), 0.5)
    refit = Refit(job_id=job.id, number=0, parameters={"lr": 0.1})
    final = a_training(id=refit_id(job.id), refit=refit, evaluation={"val_loss": 0.1})
    assert store.queue.add_trainings([trial, final]) == 2
    assert store.queue.add_trainings([final]) == 0
    assert store.trainings.get_training(refit_id(job.id)) == final
    assert (final.belongs_to, trial.belongs_to, a_training().belongs_to) == (job.id, job.id, None)
    assert store.trainings.count_trainings(job.id) == {"new": 1}
    assert store.trainings.count_trainings() == {"new": 2}
    assert store.jobs.last_trial_number(job.id, job.arrival) == 0
    assert [row.id for row in store.jobs.best_trials(job.id, "minimize", 9).items] == [trial.id]
    assert [row.id for row in store.jobs.iterate_trials(job.id)] == [trial.id]
    accounts = {account.id: account.refit for page in store.costs.account_pages(0) for account in page.items}
    assert accounts == {trial.id: None, final.id: refit}


def with_value(trial: Training, value: float) -> Training:
    assert trial.trial is not None
    return trial.model_copy(update={"trial": trial.trial.model_copy(update={"value": value})})
