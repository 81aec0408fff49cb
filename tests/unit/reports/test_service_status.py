"""The status report: clusters, counts, jobs, the head of the queue."""

from __future__ import annotations

from mitorch_service.backends.base import Capacity
from mitorch_service.models.status import AttemptOutcome
from mitorch_service.reports.service_status import read_status
from mitorch_service.stores.base import Store
from tests.fakes import FakeBackend
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
