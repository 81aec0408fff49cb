"""Operators, dots and NUL in whatever users may write: they are values, on both stores, and never a part of a query."""

from __future__ import annotations

import pytest

from mitorch_service.errors import NotFound
from mitorch_service.insights.tables.opening import TableRequest
from mitorch_service.insights.tables.table import read_table
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.operations.archives.backup_documents import from_line
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.trainings import TrainingFilter
from tests.samples import NOW, a_job, a_result, a_training, an_attempt

HOSTILE = (
    '{"$ne": null}',
    '{"$where": "sleep(9999)"}',
    "$where",
    "$ne",
    "a.$.b",
    "a.b",
    ".*",
    "%",
    "_",
    "' OR 1=1 --",
    "\0",
)
KEYS = {"$where": "sleep(9999)", "a.b": 1, "$set": {"status": "completed"}, "": 0, "$ne": None}


def test_a_document_with_operators_is_stored_and_read_as_it_is(store: Store) -> None:
    tags = [f"{word}={word}" for word in HOSTILE]
    training = a_training(config=KEYS, name="$where", tags=tags, trial=None, dataset=DatasetRef(name="$ne", version=1))
    job = a_job(config=KEYS, name='{"$gt": ""}', tags=tags)
    store.queue.add_trainings([training, a_training(name="other")])
    store.jobs.add_job(job)
    assert store.trainings.get_training(training.id) == training
    assert store.jobs.get_job(job.id) == job
    assert store.trainings.count_trainings()["new"] == 2


def test_no_text_finds_what_it_does_not_name(store: Store) -> None:
    training = a_training(name="plain", tags=["a=b"])
    store.queue.add_trainings([training])
    for word in HOSTILE:
        _finds_nothing(store, word)
    assert store.trainings.get_training(training.id) == training


def _finds_nothing(store: Store, word: str) -> None:
    assert store.trainings.find_named(word) == []
    assert list(store.trainings.list_trainings(TrainingFilter(dataset=word), 9).items) == []
    assert store.queue.head_of_dataset(DatasetRef(name=word, version=1), 9).items == []
    assert store.queue.head_of_share("team", word, 9).items == []
    assert not read_table(store, TableRequest(f"name:'{word}'" if "'" not in word else "name:nobody"), NOW).rows
    for find in (
        lambda: store.trainings.get_training(word),
        lambda: store.datasets.get_dataset(DatasetRef(name=word)),
        lambda: store.views.get_view(word),
        lambda: store.trainings.resolve_id(word),
    ):
        with pytest.raises(NotFound):
            find()
    with pytest.raises(NotFound):
        store.queue.set_priority(word, 1)


def test_names_of_metrics_and_labels_never_change_another_field(store: Store) -> None:
    training = a_training()
    store.queue.add_trainings([training])
    store.queue.claim_training(training.id, an_attempt(training))
    store.runs.start_training(training.id, 1, "w", NOW)
    for epoch, word in enumerate(
        (word for word in HOSTILE if word != "\0"), 1
    ):  # NUL: refused before (checked_metrics)
        metrics = {word: 0.5, "status.x": 1.0}
        store.runs.record_epoch(training.id, 1, 99, a_result(epoch, metrics=metrics))
        assert (last := store.runs.last_result(training.id)) is not None
        assert last.metrics == metrics
        found = store.trainings.get_training(training.id)
        assert (found.status, found.progress and found.progress.metrics) == ("running", metrics)
        store.labels.set_label("training", training.id, "name", word)
        assert store.trainings.get_training(training.id).name == word


@pytest.mark.parametrize("key", ['{"$ne": 1}', "[1]", "null", "true"])
def test_a_backup_cannot_bring_an_id_that_is_a_query(key: str) -> None:
    with pytest.raises(ValueError, match="neither a text nor a number"):
        from_line(f'{{"_id": {key}}}'.encode())
