"""The budget of a job: what it has cost is known exactly, and no trial starts beyond it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from mitorch_service.cluster_settings.local_cluster import LocalCluster
from mitorch_service.controller.loop import Controller
from mitorch_service.controller.observe.budget import job_cost
from mitorch_service.models.attempts.run_state import RunState
from mitorch_service.models.search.job import Job, SearchConfig, SettledCost
from mitorch_service.models.status import AttemptOutcome, JobStatus, TrainingStatus
from mitorch_service.models.training import TrainingRow, run_name
from mitorch_service.stores.base import Store
from mitorch_service.stores.requests import Query
from mitorch_service.stores.verbs.runs import RunEnd
from tests.fakes import FakeBackend, primitives
from tests.samples import NOW, a_job, a_trial, an_attempt, later

HOUR = 3600.0
PRICED = [LocalCluster(name="local", price=1.0, max_silence=1e9)]  # its runs give no sign of life


def job_with(store: Store, **search: Any) -> Job:
    """A job in the queue that searches so."""
    job = a_job(search=SearchConfig(**{"max_trials": 20, "seed": 0, "max_concurrent": 2, **search}))
    store.jobs.add_job(job)
    return job


class Cluster:
    """A cluster of two nodes for 1.00 an hour, and the controller; runs take an hour."""

    def __init__(self, store: Store) -> None:
        self.backend = FakeBackend("local", slots=2)
        self.store = store
        self.controller = Controller(store, {"local": self.backend}, PRICED)

    def tick(self, now: datetime) -> str:
        """One pass; returns what it said."""
        return "\n".join(event.text for event in self.controller.tick(now).events)

    def start(self, now: datetime) -> list[TrainingRow]:
        """A pass, after which all that was launched starts."""
        self.tick(now)
        rows = self.store.queue.active_trainings().items
        for row in rows:
            if row.status == "queued":
                self.store.runs.start_training(row.id, row.attempt, "worker", now)
        return rows

    def end(self, rows: list[TrainingRow], now: datetime) -> None:
        """They are completed."""
        for row in rows:
            end = RunEnd(AttemptOutcome.COMPLETED, {"val_loss": 0.5}, trial_value=0.5)
            self.store.runs.finish_training(row.id, row.attempt, "worker", now, end)
            self.backend.end(run_name(row.id, row.attempt), RunState.SUCCEEDED, exit_code=0)


@pytest.fixture
def cluster(store: Store) -> Cluster:
    return Cluster(store)


def test_a_budget_limits_what_is_open_at_one_time() -> None:
    assert SearchConfig(max_trials=5000, max_cost=1).max_concurrent == 200
    assert SearchConfig(max_trials=5000, max_cost=1, max_concurrent=500).max_concurrent == 500
    assert SearchConfig(max_trials=5000, algorithm="random").max_concurrent is None


def test_an_algorithm_that_learns_has_an_eighth_of_its_trials_open() -> None:
    assert SearchConfig(max_trials=5000).max_concurrent == 625
    assert SearchConfig(max_trials=20).max_concurrent == 8
    assert SearchConfig(max_trials=20, max_concurrent=20).max_concurrent == 20


def test_no_trial_starts_once_the_budget_is_spent_and_the_job_ends_with_the_others(
    store: Store, cluster: Cluster
) -> None:
    job = job_with(store, max_cost=3.5, max_concurrent=3)
    cluster.end(cluster.start(NOW), later(HOUR))  # two hours of nodes
    second = cluster.start(later(HOUR))
    assert len(second) == 2
    assert store.trainings.count_trainings(job.id) == {"completed": 2, "running": 2, "new": 1}
    said = cluster.tick(later(1.8 * HOUR))  # 2.00 and 2 × 0.80 for those that run
    assert "its budget of 3.50 is spent: no new trials" in said
    assert store.trainings.count_trainings(job.id) == {"completed": 2, "running": 2, "canceled": 1}
    assert cluster.tick(later(1.9 * HOUR)) == ""  # told once
    cluster.end(second, later(2 * HOUR))
    assert "no new trials" not in cluster.tick(later(2 * HOUR))
    done = store.jobs.get_job(job.id)
    assert (done.status, done.error, done.note) == (
        JobStatus.COMPLETED,
        None,
        "its budget of 3.50 is spent: no new trials",
    )
    assert sum(store.trainings.count_trainings(job.id).values()) == 5


def test_a_budget_that_is_not_spent_changes_nothing(store: Store, cluster: Cluster) -> None:
    job = job_with(store, max_cost=1000, max_trials=4)
    for hour in range(2):
        cluster.end(cluster.start(later(hour * HOUR)), later((hour + 1) * HOUR))
    cluster.tick(later(2 * HOUR))
    done = store.jobs.get_job(job.id)
    assert (done.status, done.note, done.settled) == (JobStatus.COMPLETED, None, SettledCost(below=4, cost=4.0))


def test_a_trial_that_was_lost_may_go_on_beyond_the_budget(store: Store, cluster: Cluster) -> None:
    job = job_with(store, max_cost=1.5, max_concurrent=1)
    (row,) = cluster.start(NOW)
    cluster.backend.end(run_name(row.id, 1), RunState.KILLED, "preempted")
    cluster.tick(later(2 * HOUR))
    cluster.tick(later(2 * HOUR))
    assert cluster.backend.running() == [run_name(row.id, 2)]
    assert sum(store.trainings.count_trainings(job.id).values()) == 1


def test_what_is_settled_is_not_read_again(store: Store, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_with(store, max_cost=1000)
    for hour in range(4):
        cluster.end(cluster.start(later(hour * HOUR)), later((hour + 1) * HOUR))
    cluster.tick(later(4 * HOUR))
    read: list[Any] = []
    database = primitives(store)
    find = database.find

    def spy(query: Query) -> Any:
        found = list(find(query))
        read.extend(found if "config" in query.without and query.limit == 1000 else [])
        return iter(found)

    monkeypatch.setattr(database, "find", spy)
    cost, settled = job_cost(store, store.jobs.get_job(job.id), 2, later(4 * HOUR))
    assert (cost, settled) == (8.0, SettledCost(below=8, cost=8.0))
    assert len(read) == 2  # those that are open


def test_a_straggler_holds_up_the_settling_not_the_sum(store: Store, cluster: Cluster) -> None:
    job = job_with(store, max_cost=1000)
    slow, quick = cluster.start(NOW)
    cluster.end([quick], later(HOUR))
    rows = cluster.start(later(HOUR))
    cluster.end([row for row in rows if row.id != slow.id], later(2 * HOUR))
    cluster.tick(later(2 * HOUR))
    job = store.jobs.get_job(job.id)
    settled = SettledCost(below=1, cost=1.0) if slow.trial and slow.trial.number == 1 else SettledCost()
    assert job.settled == settled
    cost, _ = job_cost(store, job, 2, later(2 * HOUR))
    assert cost == 4.0


def test_a_trial_that_was_retried_is_added_up_again(store: Store, cluster: Cluster) -> None:
    job = job_with(store, max_cost=1000, max_concurrent=1)
    (first,) = cluster.start(NOW)
    store.queue.request_cancel(first.id, later(HOUR))
    cluster.backend.end(run_name(first.id, 1), RunState.KILLED, "it was killed by SIGTERM")
    cluster.tick(later(HOUR))
    cluster.tick(later(HOUR))
    assert store.jobs.get_job(job.id).settled == SettledCost(below=1, cost=1.0)
    store.queue.retry_training(first.id, later(HOUR))
    cluster.tick(later(HOUR))
    rows = cluster.start(later(HOUR))
    assert first.id in {row.id for row in rows}
    cluster.end(rows, later(3 * HOUR))
    cluster.tick(later(3 * HOUR))
    cost, _ = job_cost(store, store.jobs.get_job(job.id), 1, later(3 * HOUR))
    assert cost == 1.0 + 2.0 * len(rows)


def test_settled_trials_are_added_up_again_while_one_of_them_is_open(store: Store) -> None:
    job = job_with(store, max_cost=1000)
    trials = [a_trial(job.id, number, arrival=job.arrival + number) for number in range(3)]
    running = {"submitted_at": NOW, "started_at": NOW, "price": 3.0}
    attempts = [an_attempt(trials[0]).model_copy(update=running)]
    again = trials[0].model_copy(update={"status": TrainingStatus.RUNNING, "attempt": 1, "attempts": attempts})
    store.queue.add_trainings([again, *trials[1:]])
    claimed = job.model_copy(update={"settled": SettledCost(below=1, cost=9.0)})
    assert job_cost(store, claimed, 3, later(HOUR)) == (3.0, SettledCost())


def test_a_trial_that_was_retried_behind_the_back_of_a_pass_is_unsettled_by_it(store: Store) -> None:
    """The pass has seen the job before the retry, and launches the trial: it may have ended before the next one."""
    job = job_with(store, max_cost=1000, max_concurrent=1)
    backend = FakeBackend("local", slots=2)
    store.queue.add_trainings([a_trial(job.id, 0, arrival=job.arrival)])
    (row,) = store.jobs.open_trials(job.id, 1).items
    store.queue.request_cancel(row.id, NOW)
    Controller(store, {"local": backend}, PRICED).tick(NOW)
    assert store.jobs.get_job(job.id).settled == SettledCost(below=1, cost=0.0)

    class RetriesInBetween(FakeBackend):
        def capacity(self) -> Any:
            if store.trainings.get_training(row.id).status == "canceled":
                store.queue.retry_training(row.id, NOW)
            return super().capacity()

    between = RetriesInBetween("local", slots=4)
    between.runs = backend.runs
    Controller(store, {"local": between}, PRICED).tick(NOW)
    assert store.trainings.get_training(row.id).status == "queued"
    assert store.jobs.get_job(job.id).settled is None


def test_a_pass_that_comes_late_settles_nothing(store: Store) -> None:
    job = job_with(store, max_cost=1000)
    first, second = SettledCost(below=1, cost=1.0), SettledCost(below=2, cost=2.0)
    assert store.costs.settle_cost(job.id, None, first, None)
    assert store.costs.settle_cost(job.id, first, second, "a note")
    assert not store.costs.settle_cost(job.id, first, SettledCost(below=5, cost=9.0), None)
    assert store.jobs.get_job(job.id).settled == second
    assert store.jobs.get_job(job.id).note == "a note"
    store.jobs.finish_job(job.id, JobStatus.CANCELED, NOW, None, {}, None)
    assert not store.costs.settle_cost(job.id, second, None, None)
