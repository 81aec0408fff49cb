"""Bulk submission: what is queued once, whatever breaks between."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from mitorch_service.errors import InvalidInput, NotAllowed, SettingsError, StoreUnavailable
from mitorch_service.models.dataset import Dataset, DatasetRef
from mitorch_service.models.training import Training
from mitorch_service.stores.base import Store
from mitorch_service.stores.sqlite.store import SqliteDatabase, SqliteStore
from mitorch_service.stores.verbs.queue import QueueVerbs
from mitorch_service.stores.verbs.trainings import TrainingFilter
from mitorch_service.submission.bulk import BulkSubmission, submission_key
from mitorch_service.submission.checked_copy import BATCH
from mitorch_service.submission.source import Digest, Digester, Entry, Source
from mitorch_service.submission.submission import Options
from tests.samples import CONFIG, SPACE, a_dataset

JOB = {"job_type": "search", "dataset": "digits", "config": SPACE, "search": {"max_trials": 4}}


class FailingQueue(QueueVerbs):
    """Goes away before it adds the batch of this number (from 0), or after it did but before it could tell."""

    away_at: int | None = None
    after_adding = False

    def add_trainings(self, trainings: Sequence[Training]) -> int:
        fails, self.away_at = self.away_at == 0, None if self.away_at is None else self.away_at - 1
        if not fails or self.after_adding:
            added = super().add_trainings(trainings)
        if fails:
            raise StoreUnavailable("here", "is away", "Try again.")
        return added


class FailingStore(Store):
    """In memory, with a queue that can fail."""

    queue: FailingQueue

    def __init__(self) -> None:
        database = SqliteDatabase(None)
        super().__init__(database)
        self.queue = FailingQueue(database)


@pytest.fixture
def store() -> Iterator[FailingStore]:
    store = FailingStore()
    store.datasets.add_dataset(a_dataset("digits", 1))
    yield store
    store.close()


def entries(count: int, **fields: Any) -> list[Entry]:
    config = {**CONFIG, "dataset": "digits", **fields}
    return [Entry(f"line {n}", json.dumps({**config, "seed": n}).encode()) for n in range(1, count + 1)]


def digest(source: list[Entry]) -> Digest:
    digester = Digester()
    for entry in source:
        digester.add(entry)
    return digester.digest("it")


def submit(store: Store, folder: Path, source: list[Entry], again: bool = False) -> int:
    """One whole run; returns how many it had to queue."""
    whole = digest(source)
    bulk = BulkSubmission(store, folder, submission_key(whole.content, Options()), Options())
    with bulk.alone():
        receipt = bulk.receipt("it", whole)
        receipt = bulk.next_round(receipt, "it", whole) if again else receipt
        if receipt.finished_at is not None:
            return 0
        if not bulk.is_checked():
            receipt = bulk.check(receipt, whole, source, lambda config, written: [], lambda n: None)
        return bulk.queue(receipt, lambda n: None).total - receipt.done


def total(store: Store) -> int:
    return sum(store.trainings.count_trainings().values())


@pytest.mark.parametrize("after_adding", [False, True])
def test_a_database_that_goes_away_gets_each_once(store: FailingStore, tmp_path: Path, after_adding: bool) -> None:
    source = entries(3 * BATCH)
    store.queue.away_at = 1
    store.queue.after_adding = after_adding
    with pytest.raises(StoreUnavailable):
        submit(store, tmp_path, source)
    assert total(store) == (2 * BATCH if after_adding else BATCH)
    store.datasets.add_dataset(a_dataset("digits", 2))
    assert submit(store, tmp_path, source) == 2 * BATCH
    rows = store.trainings.list_trainings(TrainingFilter(), 4 * BATCH).items
    assert len(rows) == 3 * BATCH
    assert {str(row.dataset) for row in rows} == {"digits:1"}  # as checked at first, though there is a newer one
    assert len({row.arrival for row in rows}) == 3 * BATCH


def test_a_database_that_was_set_back_gets_all_again(store: FailingStore, tmp_path: Path) -> None:
    source = entries(2 * BATCH)
    store.queue.away_at = 1
    with pytest.raises(StoreUnavailable):
        submit(store, tmp_path, source)
    other = SqliteStore(None)
    submit(other, tmp_path, source)
    assert total(other) == 2 * BATCH
    other.close()


def test_rounds_are_found_again_without_notes(store: FailingStore, tmp_path: Path) -> None:
    source = entries(3)
    for folder, again, expected in (("a", False, 3), ("b", True, 6), ("c", True, 9), ("d", False, 9)):
        (tmp_path / folder).mkdir()
        submit(store, tmp_path / folder, source, again)
        assert total(store) == expected
    assert submit(store, tmp_path / "d", source) == 0
    assert submit(store, tmp_path / "d", source, again=True) == 3


def test_an_interrupted_round_is_finished_before_the_next(store: FailingStore, tmp_path: Path) -> None:
    source = entries(2 * BATCH)
    submit(store, tmp_path, source)
    store.queue.away_at = 1
    with pytest.raises(StoreUnavailable):
        submit(store, tmp_path, source, again=True)
    assert submit(store, tmp_path, source, again=True) == BATCH
    assert total(store) == 4 * BATCH


def test_jobs_among_trainings(store: FailingStore, tmp_path: Path) -> None:
    source = [*entries(2), Entry("line 3", json.dumps(JOB).encode())]
    for again in (False, False, True):
        submit(store, tmp_path, source, again)
    assert total(store) == 4
    jobs = store.jobs.list_jobs(10).items
    assert [job.search.max_trials for job in jobs] == [4, 4]
    assert jobs[0].search.seed is not None


def test_what_a_config_says_otherwise_is_stored_the_same(store: FailingStore, tmp_path: Path) -> None:
    scheduler = {"name": "cosine_annealing", "base_lr": 0.01}
    submit(store, tmp_path, entries(1, lr_scheduler=scheduler, augmentation={"train": "resize"}))
    (row,) = store.trainings.list_trainings(TrainingFilter(), 10).items
    config = store.trainings.get_training(row.id).config
    assert config["lr_scheduler"]["name"] == "cosine"
    assert config["augmentation"] == {"train": [{"name": "resize"}]}
    assert "dataset" not in config


def test_a_source_that_changes_while_it_is_read_is_refused(store: FailingStore, tmp_path: Path) -> None:
    bulk = BulkSubmission(store, tmp_path, "key", Options())
    whole = digest(entries(3))
    receipt = bulk.receipt("it", whole)
    with pytest.raises(InvalidInput, match="changed while it was read"):
        bulk.check(receipt, whole, entries(4), lambda config, written: [], lambda n: None)
    assert not bulk.is_checked()
    assert list(tmp_path.iterdir()) == []


def test_data_sets_are_looked_up_once(store: FailingStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    get, asked = store.datasets.get_dataset, []

    def count(ref: DatasetRef) -> Dataset:
        asked.append(ref)
        return get(ref)

    monkeypatch.setattr(store.datasets, "get_dataset", count)
    submit(store, tmp_path, entries(50))
    assert asked == [DatasetRef(name="digits")]


def test_big_configs_make_short_batches(store: FailingStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add, sizes = store.queue.add_trainings, []

    def count(trainings: Sequence[Training]) -> int:
        sizes.append(len(trainings))
        return add(trainings)

    monkeypatch.setattr(store.queue, "add_trainings", count)
    submit(store, tmp_path, entries(20, model={"name": "test_resnet", "options": {"note": "x" * 900_000}}))
    assert sum(sizes) == 20
    assert max(sizes) < 10


def test_one_process_at_a_time(store: FailingStore, tmp_path: Path) -> None:
    bulk = [BulkSubmission(store, tmp_path, "key", Options()) for _ in range(2)]
    with bulk[0].alone(), pytest.raises(NotAllowed, match="under way"), bulk[1].alone():
        pass


def test_a_folder_that_cannot_be_written_is_named(store: FailingStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    bulk = BulkSubmission(store, tmp_path / "file", "key", Options())
    with pytest.raises(SettingsError, match="MITORCH_HOME: cannot write"), bulk.alone():
        pass


def test_options_are_part_of_the_key() -> None:
    keys = {
        submission_key("content", options)
        for options in (
            Options(),
            Options(5),
            Options(dataset=DatasetRef(name="d")),
            Options(name="n"),
            Options(tags=("a=b",)),
        )
    }
    assert len(keys) == 5
    assert submission_key("c", Options(tags=("a=b", "c=d"))) == submission_key("c", Options(tags=("c=d", "a=b")))


def test_a_pipe_among_the_files_of_a_folder_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "b.json")
    with pytest.raises(InvalidInput, match=r"b\.json: cannot be read: it is a folder, pipe or device"):
        list(Source(str(tmp_path), tmp_path, io.BytesIO()).entries())
