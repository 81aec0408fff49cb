"""The log of an attempt."""

from __future__ import annotations

import pytest

from mitorch_service.errors import NotFound
from mitorch_service.models.training import run_name
from mitorch_service.reports.run_log import read_log
from mitorch_service.stores.base import Store
from tests.fakes import FakeBackend
from tests.samples import a_job, a_training, an_attempt


def test_the_log_of_an_attempt_is_read_with_credentials_masked(store: Store) -> None:
    training = a_training(attempt=2)
    attempts = [an_attempt(training, 1, "here"), an_attempt(training, 2, "here")]
    store.queue.add_trainings([training.model_copy(update={"attempts": attempts})])
    here = FakeBackend("here")
    here.log_texts = {
        run_name(training.id, 1): "first",
        run_name(training.id, 2): "mongodb://me:s3cret@host/ is used",
    }
    assert read_log(store, {"here": here}, training.id[:8], 1) == "first"
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
