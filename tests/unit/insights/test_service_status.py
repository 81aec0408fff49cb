"""The status report: clusters, counts, jobs, the head of the queue."""

from __future__ import annotations

from mitorch_service.backends.base import Capacity
from mitorch_service.controller.loop import Controller
from mitorch_service.insights.service_status import read_status
from mitorch_service.models.status import AttemptOutcome
from mitorch_service.placement_settings.policy import FairShare, Policy
from mitorch_service.stores.base import Store
from tests.fakes import FakeBackend, primitives
from tests.samples import NOW, a_job, a_training, an_attempt, later


def test_clusters_counts_jobs_and_the_head_of_the_queue(store: Store) -> None:
    job = a_job()
    store.jobs.add_job(job)
    trainings = [a_training() for _ in range(12)]
    store.queue.add_trainings(trainings)
    away = FakeBackend("away")
    away.down = True
    status = read_status(store, {"here": FakeBackend("here", slots=3), "away": away}, NOW)
    here = status.clusters["here"]
    assert here.capacity is not None
    assert (here.capacity.total, here.capacity.free, here.refusal) == (3, 3, None)
    assert status.clusters["away"].capacity is None
    assert "away" in (status.clusters["away"].error or "")
    assert status.counts == {"new": 12}
    assert [one.id for one in status.jobs] == [job.id]
    assert [row.id for row in status.queue] == [training.id for training in trainings[:10]]


def test_a_cluster_that_refused_a_training_says_so(store: Store) -> None:
    training = a_training(attempt=1)
    refused = {"outcome": AttemptOutcome.REFUSED, "reason": "no role", "ended_at": later(1)}
    attempt = an_attempt(training, cluster="here").model_copy(update=refused)
    store.queue.add_trainings([training.model_copy(update={"attempts": [attempt]})])
    status = read_status(store, {"here": FakeBackend("here"), "there": FakeBackend("there")}, later(2))
    assert "no role" in (status.clusters["here"].refusal or "")
    assert status.clusters["there"].refusal is None
    assert status.clusters["there"].capacity == Capacity(2, 2)


def test_what_runs_who_passed_last_and_what_cannot_be_read(store: Store) -> None:
    backend = FakeBackend("here", slots=2)
    trainings = [a_training(priority=number) for number in range(3)]
    store.queue.add_trainings(trainings)
    Controller(store, {"here": backend}, every=60.0).tick(NOW)
    store.runs.start_training(trainings[1].id, 1, "worker", later(3))
    primitives(store).insert("trainings", [{**a_training(priority=0).to_document(), "tags": 5}])
    status = read_status(store, {"here": backend}, later(9))
    assert [row.id for row in status.running] == [trainings[1].id, trainings[0].id]
    assert status.controller is not None
    assert (status.controller.at, status.controller.every) == (NOW, 60.0)
    assert len(status.unreadable) == 1


def test_a_cluster_whose_runs_cannot_write_says_since_when(store: Store) -> None:
    training = a_training(attempt=2)
    attempts = [
        an_attempt(training, number, "here").model_copy(
            update={"outcome": AttemptOutcome.BLOCKED, "reason": "the disk is full", "ended_at": later(number)}
        )
        for number in (1, 2)
    ]
    store.queue.add_trainings([training.model_copy(update={"attempts": attempts})])
    status = read_status(store, {"here": FakeBackend("here")}, later(3))
    told = f"rests since {later(1):%Y-%m-%d %H:%M:%S} (the disk is full): retrying at {later(302):%H:%M:%S}"
    assert status.clusters["here"].refusal == told


def test_with_a_fair_share_the_queue_is_in_the_order_in_which_shares_are_served(store: Store) -> None:
    many = [a_training(submitted_by="amy") for _ in range(120)]
    late = [a_training(submitted_by="bob") for _ in range(2)]
    store.queue.add_trainings([*many, *late])
    status = read_status(store, {}, NOW, policy=Policy(fair_share=FairShare(by="user")))
    turns = [many[0], late[0], many[1], late[1], *many[2:8]]
    assert [row.id for row in status.queue] == [training.id for training in turns]
    assert [(one.share, one.due) for one in status.shares] == [("amy", 0.5), ("bob", 0.5)]
