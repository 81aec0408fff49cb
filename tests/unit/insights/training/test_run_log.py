"""The log of an attempt."""

from __future__ import annotations

import pytest

from mitorch_service.errors import NotFound
from mitorch_service.insights.training.run_log import follow_log, read_log
from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import Training, run_name
from mitorch_service.stores.base import Store
from mitorch_service.stores.requests import Guarded
from mitorch_service.stores.transitions import change_training
from tests.fakes import FakeBackend, primitives
from tests.samples import NOW, a_job, a_training, an_attempt

RUNNING = (TrainingStatus.RUNNING,)


def test_the_log_of_an_attempt_is_read_with_credentials_masked(store: Store) -> None:
    training = a_training(attempt=2)
    attempts = [an_attempt(training, 1, "here"), an_attempt(training, 2, "here")]
    store.queue.add_trainings([training.model_copy(update={"attempts": attempts, "name": "mine"})])
    here = FakeBackend("here")
    here.log_texts = {
        run_name(training.id, 1): "first",
        run_name(training.id, 2): "mongodb://me:s3cret@host/ is used",
    }
    assert read_log(store, {"here": here}, training.id[:8], 1) == read_log(store, {"here": here}, "mine", 1) == "first"
    assert read_log(store, {"here": here}, training.id, None) == "mongodb://me:***@host/ is used"
    with pytest.raises(NotFound, match="It has 2"):
        read_log(store, {"here": here}, training.id, 3)
    with pytest.raises(NotFound, match="not in MITORCH_CLUSTERS"):
        read_log(store, {}, training.id, None)


def test_a_job_has_no_log(store: Store) -> None:
    job = a_job()
    store.jobs.add_job(job)
    with pytest.raises(NotFound, match="give the id of one of its trials"):
        read_log(store, {}, job.id, None)


def begun(store: Store, attempts: int = 1) -> Training:
    """A training whose last attempt runs, on the cluster `here`."""
    training = a_training(attempt=attempts, status=TrainingStatus.RUNNING)
    all_attempts = [an_attempt(training, number, "here") for number in range(1, attempts + 1)]
    training = training.model_copy(update={"attempts": all_attempts})
    store.queue.add_trainings([training])
    return training


def test_the_last_lines_however_long_they_are(store: Store) -> None:
    training, here = begun(store), FakeBackend("here")
    lines = [f"{number} {'x' * 3000}\n" for number in range(100)]
    here.log_texts = {run_name(training.id, 1): "".join(lines)}
    for count in (0, 1, 50, 100, 1000):
        expected = "".join(lines[max(0, len(lines) - count) :])
        assert read_log(store, {"here": here}, training.id, None, count) == expected
    assert len(read_log(store, {"here": here}, training.id, None)) == 65_536


def test_a_log_is_followed_until_the_training_has_ended(store: Store) -> None:
    training, here = begun(store), FakeBackend("here")
    name = run_name(training.id, 1)
    here.log_texts = {name: "one\ntwo\nthree\n"}
    steps = iter(["four\nmongodb://me:s3c", "ret@host/\n", None, "the end"])

    def wait() -> None:
        step = next(steps)
        here.down = step is None  # for one look
        here.log_texts[name] += step or ""
        if step == "the end":
            primitives(store).change(change_training(training.id, RUNNING, TrainingStatus.COMPLETED, NOW, {}, {}))

    found = list(follow_log(store, {"here": here}, training.id[:13], None, 2, wait))
    assert "".join(found) == "two\nthree\nfour\nmongodb://me:***@host/\nthe end"
    assert "s3c" not in str(found)


def test_an_attempt_that_is_lost_is_followed_by_the_next(store: Store) -> None:
    training, here = begun(store), FakeBackend("here")
    names = [run_name(training.id, number) for number in (1, 2)]
    here.log_texts = {names[0]: "begun\n"}

    def wait() -> None:
        if names[1] not in here.log_texts:
            here.log_texts |= {names[0]: "begun\nlast words\nof", names[1]: "again\n"}
            second = an_attempt(training, 2, "here")
            changes = {"attempt": 2, "attempts.1": second.to_document()}
            primitives(store).change(Guarded("trainings", training.id, {}, changes))
        else:
            primitives(store).change(change_training(training.id, RUNNING, TrainingStatus.FAILED, NOW, {}, {}))

    found = "".join(follow_log(store, {"here": here}, training.id, None, None, wait))
    assert found == "begun\nlast words\nof--- attempt 2, cluster here\nagain\n"


def test_one_attempt_is_followed_until_it_has_ended(store: Store) -> None:
    training, here = begun(store, attempts=2), FakeBackend("here")
    here.log_texts = {run_name(training.id, 1): "first\n"}
    primitives(store).change(Guarded("trainings", training.id, {}, {"attempts.0.ended_at": NOW}))
    assert list(follow_log(store, {"here": here}, training.id, 1, None, never)) == ["first\n", ""]
    with pytest.raises(NotFound, match="It has 2"):
        list(follow_log(store, {"here": here}, training.id, 3, None, never))


def never() -> None:
    raise AssertionError("it has ended")
