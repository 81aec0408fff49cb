"""A change whose answer is lost on its way back is made, and is known to be: no verb says that it was refused, or makes
it twice. The server is no replica set, so that the driver repeats nothing by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import pymongo
import pytest

from mitorch_service.errors import StaleAttempt
from mitorch_service.models.search.job import Job
from mitorch_service.models.status import AttemptOutcome, TrainingStatus
from mitorch_service.models.training import StepProgress, Training, TrainingErrorInfo
from mitorch_service.stores.base import Store
from mitorch_service.stores.mongo.store import MongoStore
from mitorch_service.stores.requests import Query
from mitorch_service.stores.verbs.runs import RunEnd
from mitorch_service.stores.verbs.trainings import TrainingFilter
from tests.fakes import primitives
from tests.flaky_proxy import FlakyProxy
from tests.samples import NOW, a_job, a_result, a_training, an_attempt, later

LOST_RUN = TrainingErrorInfo(type="Lost", message="its node is gone")


@dataclass(frozen=True)
class Subject:
    """A store behind a proxy, with a training that is new, queued, running and ended each, and a job."""

    store: Store
    proxy: FlakyProxy
    new: Training
    queued: Training
    running: Training
    ended: Training
    job: Job


@pytest.fixture(scope="module")
def flaky(mongodb_uri: str) -> Iterator[tuple[Store, FlakyProxy]]:
    """A store behind a proxy that loses answers."""
    parts = urlsplit(mongodb_uri)
    proxy = FlakyProxy(parts.hostname or "127.0.0.1", parts.port or 27017)
    name = f"mitorch_lost_{proxy.port}"
    with pytest.MonkeyPatch.context() as patch:  # the driver looks for a server that it has lost at once
        patch.setattr("pymongo.common.MIN_HEARTBEAT_INTERVAL", 0.001)
        store = MongoStore(f"mongodb://127.0.0.1:{proxy.port}/?directConnection=true", name)
    yield store, proxy
    store.close()
    proxy.close()
    with pymongo.MongoClient[dict[str, object]](mongodb_uri) as client:
        client.drop_database(name)


@pytest.fixture
def subject(flaky: tuple[Store, FlakyProxy], waits: list[float]) -> Subject:
    """New documents in it; its patience takes no time."""
    store, proxy = flaky
    trainings = [a_training() for _ in range(4)]
    job = a_job()
    store.queue.add_trainings(trainings)
    store.jobs.add_job(job)
    new, queued, running, ended = trainings
    store.queue.claim_trainings([(one.id, an_attempt(one)) for one in (queued, running)])
    store.runs.start_training(running.id, 1, "worker", NOW)
    store.queue.request_cancel(ended.id, NOW)
    proxy.lost = 0
    return Subject(store, proxy, new, queued, running, ended, job)


COMPLETED = RunEnd(AttemptOutcome.COMPLETED, {"val_loss": 0.5})
RETRIED = RunEnd(AttemptOutcome.LOST, error=LOST_RUN, reason="its node is gone")
STEP = StepProgress(attempt=1, epoch=1, step=3, steps=9, loss=0.5)
FINDS = b"findAndModify\x00"
VERBS: Mapping[str, tuple[Callable[[Subject], object], object]] = {
    "start": (lambda s: s.store.runs.start_training(s.queued.id, 1, "another", NOW).status, "running"),
    "begin": (lambda s: s.store.runs.begin_attempt(s.queued.id, 1, NOW).status, "queued"),
    "heartbeat": (lambda s: s.store.runs.heartbeat(s.running.id, 1, later(1)), False),
    "step": (lambda s: s.store.runs.record_step(s.running.id, STEP, later(1)), False),
    "epoch": (lambda s: s.store.runs.record_epoch(s.running.id, 1, 3, a_result(1)), False),
    "finish": (lambda s: s.store.runs.finish_training(s.running.id, 1, "worker", later(1), COMPLETED), None),
    "retry an attempt": (lambda s: s.store.runs.retry_attempt(s.running.id, 1, "worker", later(1), RETRIED), None),
    "end an attempt": (
        lambda s: s.store.queue.end_attempt(
            s.running.id, 1, later(1), AttemptOutcome.LOST, TrainingStatus.NEW, LOST_RUN
        ),
        True,
    ),
    "revoke": (lambda s: s.store.queue.revoke_fence(s.running.id, 1), True),
    "cancel": (lambda s: s.store.queue.request_cancel(s.new.id, later(1)).status, "canceled"),
    "cancel a run": (lambda s: s.store.queue.request_cancel(s.running.id, later(1)).status, "running"),
    "retry": (lambda s: s.store.queue.retry_training(s.ended.id, later(2)), None),
    "delete": (lambda s: s.store.queue.delete_training(s.ended.id), None),
    "priority": (lambda s: s.store.queue.set_priority(s.new.id, 5), None),
    "name": (lambda s: s.store.labels.set_label("training", s.new.id, "name", "a name"), None),
    "start a job": (lambda s: s.store.jobs.start_job(s.job.id, later(1)), True),
    "cancel a job": (lambda s: s.store.jobs.request_job_cancel(s.job.id, later(1)), None),
    "priority of a job": (lambda s: s.store.jobs.set_job_priority(s.job.id, 7), None),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_change_whose_answer_is_lost_is_made_once_and_known(subject: Subject, verb: str) -> None:
    call, expected = VERBS[verb]
    subject.proxy.lose("answer", FINDS)
    assert call(subject) == expected
    assert subject.proxy.lost == 1
    rows = [row.status for row in subject.store.trainings.list_trainings(TrainingFilter(), 999).items]
    assert subject.store.trainings.count_trainings() == Counter(rows)


def test_a_request_that_is_lost_is_repeated_and_a_refusal_stays_one(subject: Subject) -> None:
    store = subject.store
    subject.proxy.lose("request", FINDS)
    assert store.queue.revoke_fence(subject.running.id, 1)
    subject.proxy.lose("request", FINDS)
    with pytest.raises(StaleAttempt):
        store.runs.heartbeat(subject.running.id, 1, later(1))


def test_the_upgrade_of_an_older_document_whose_answer_is_lost_is_made_once_and_known(subject: Subject) -> None:
    store, training = subject.store, a_training(priority=5)
    old = {name: value for name, value in training.to_document().items() if name not in ("schema", "shares")}
    primitives(store).insert("trainings", [old])
    subject.proxy.lose("answer", b"updates\x00")
    assert store.queue.request_cancel(training.id, later(1)).status == "canceled"
    assert subject.proxy.lost == 1
    assert next(primitives(store).find(Query("trainings", {"_id": training.id})))["schema"] == 2
    rows = [row.status for row in store.trainings.list_trainings(TrainingFilter(), 999).items]
    assert store.trainings.count_trainings() == Counter(rows)
