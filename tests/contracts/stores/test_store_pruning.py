"""Pruning: what the stores give and take away, and the whole of it on both of them."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.models.base import new_id
from mitorch_service.models.search.job import Job
from mitorch_service.models.status import ENDED, AttemptOutcome, JobStatus, TrainingStatus
from mitorch_service.models.training import Training, TrainingErrorInfo
from mitorch_service.operations.archives.archive import Archive
from mitorch_service.operations.archives.retention import PruneOptions, preview, prune
from mitorch_service.stores.base import Store
from mitorch_service.stores.requests import Query
from mitorch_service.stores.verbs.trainings import TrainingFilter
from tests.contracts.conftest import Database
from tests.fakes import primitives
from tests.samples import CONFIG, NOW, a_job, a_result, a_training, a_trial, an_attempt, later

COMPLETED = TrainingStatus.COMPLETED
BEFORE = NOW - timedelta(days=180)
OLD = BEFORE - timedelta(days=1)


def ended(status: TrainingStatus = COMPLETED, at: Any = OLD, **fields: Any) -> Training:
    """A training that has ended, long ago unless said otherwise."""
    return a_training(status=status, status_times={"new": OLD, status.value: at}, **fields)


def ended_trial(job: Job, number: int, value: float | None) -> Training:
    trial = a_trial(job.id, number).trial
    assert trial is not None
    return ended(job_id=job.id, trial=trial.model_copy(update={"value": value}))


def ended_job(at: Any = OLD, **fields: Any) -> Job:
    return a_job(status=JobStatus.COMPLETED, status_times={"completed": at}, **fields)


def add_results(store: Store, training: Training, epochs: int) -> None:
    documents = [
        {"_id": f"{training.id}:{n:06d}", "training_id": training.id, "attempt": 1, **a_result(n).to_document()}
        for n in range(1, epochs + 1)
    ]
    primitives(store).insert("training_results", documents)


def ids(store: Store) -> set[str]:
    return {row.id for row in store.trainings.list_trainings(TrainingFilter(), 10_000).items}


def pages(store: Store, status: TrainingStatus, limit: int) -> Iterator[list[str]]:
    after = None
    while True:
        page = store.retention.ended_page(status, BEFORE, limit, after)
        yield [one.row.id for one in page.items]
        if page.after is None:
            return
        after = page.after


def test_pages_go_through_all_that_ended_before(store: Store) -> None:
    old = [ended(arrival=1000 + n // 3) for n in range(10)]  # some came at the same microsecond
    retried = ended(arrival=1, at=NOW)
    other = ended(TrainingStatus.FAILED)
    store.queue.add_trainings([*reversed(old), retried, other, a_training()])
    found = list(pages(store, COMPLETED, 3))
    assert sorted(id for page in found for id in page) == sorted(training.id for training in old)
    assert all(len(page) <= 3 for page in found)


def test_what_came_later_is_not_read(store: Store) -> None:
    microseconds = int(BEFORE.timestamp() * 1e6)
    store.queue.add_trainings([ended(arrival=microseconds + n, at=NOW) for n in range(10)])
    assert list(pages(store, COMPLETED, 3)) == [[]]


def test_one_without_a_readable_age_stays(store: Store) -> None:
    training = ended()
    without_time = {**ended().to_document(), "status_times": {}}
    without_dataset = {**ended().to_document(), "dataset": 7}
    primitives(store).insert("trainings", [training.to_document(), without_time, without_dataset])
    page = store.retention.ended_page(COMPLETED, BEFORE, 10)
    assert [one.row.id for one in page.items] == [training.id]
    assert [broken.key for broken in page.broken] == [without_dataset["_id"]]


def test_a_removed_training_leaves_nothing(store: Store) -> None:
    gone, stays = ended(tags=["team=a"]), ended(tags=["team=a"])
    store.queue.add_trainings([gone, stays])
    add_results(store, gone, 3)
    add_results(store, stays, 2)
    (row, other) = (one.row for one in store.retention.ended_page(COMPLETED, BEFORE, 10).items)
    assert (row.id, other.id) == (gone.id, stays.id)
    assert store.retention.remove_ended([row]) == 1
    assert store.retention.remove_ended([row]) == 0
    assert ids(store) == {stays.id}
    assert [row.id for row in store.trainings.list_trainings(TrainingFilter(tag="team=a"), 5).items] == [stays.id]
    assert not store.runs.curve(gone.id).items
    assert len(store.runs.curve(stays.id).items) == 2


def test_one_that_is_retried_stays(store: Store) -> None:
    training = ended(TrainingStatus.FAILED)
    store.queue.add_trainings([training])
    rows = [one.row for one in store.retention.ended_page(TrainingStatus.FAILED, BEFORE, 10).items]
    assert store.retention.unchanged(rows) == rows
    store.queue.retry_training(training.id, NOW)
    assert store.retention.unchanged(rows) == []
    assert store.retention.remove_ended(rows) == 0
    assert ids(store) == {training.id}


def test_bases_of_what_has_not_ended(store: Store) -> None:
    bases = [new_id() for _ in range(4)]
    waiting, running = (a_training(config={**CONFIG, "base": base}) for base in bases[:2])
    done = ended(config={**CONFIG, "base": bases[2]})
    store.queue.add_trainings([waiting, running, done, a_training()])
    store.queue.claim_training(running.id, an_attempt(running))
    found, newest = store.retention.bases_in_use()
    assert found == set(bases[:2])
    assert store.retention.bases_in_use(newest + 1) == (set(), newest + 1)
    store.queue.add_trainings([a_training(config={**CONFIG, "base": bases[3]})])
    assert store.retention.bases_in_use(newest + 1)[0] == {bases[3]}


def test_every_question_goes_through_an_index(store: Store, asked: list[Query]) -> None:
    store.queue.add_trainings([ended() for _ in range(300)])
    for _ in range(30):
        store.jobs.add_job(ended_job())
    asked.clear()
    page = store.retention.ended_page(COMPLETED, BEFORE, 10)
    assert page.after is not None
    store.retention.ended_page(COMPLETED, BEFORE, 10, page.after)
    store.retention.unchanged([one.row for one in page.items])
    list(store.runs.curve_records(new_id()))
    store.retention.bases_in_use(5)
    assert list(store.retention.ended_jobs(BEFORE))
    store.retention.count_trials(new_id())
    assert len(asked) >= 9
    for query in asked:
        plan = primitives(store).explain(query)
        assert plan.uses_index, (query, plan.text)
        assert not plan.sorts, (query, plan.text)


def test_the_whole_prune(store: Store, tmp_path: Path) -> None:
    search, active = ended_job(), a_job(status=JobStatus.RUNNING)
    recent = ended_job(at=NOW)
    for job in (search, active, recent):
        store.jobs.add_job(job)
    trials = [ended_trial(search, number, value) for number, value in enumerate((0.3, 0.1, None))]
    open_trial = ended_trial(active, 0, 0.5)
    base = ended()
    new = a_training(config={**CONFIG, "base": base.id})
    singles = [ended(status) for status in ENDED for _ in range(2)]
    young = ended(at=BEFORE)
    store.queue.add_trainings([*trials, open_trial, base, new, *singles, young])
    add_results(store, trials[0], 3)
    options = PruneOptions(BEFORE, keep_best=True)
    everything, going = ids(store), 2 + len(singles)

    expected = preview(store, options)
    assert (expected.trainings, expected.jobs, expected.best, expected.bases, expected.active) == (going, 0, 1, 1, 1)
    assert ids(store) == everything

    archive = Archive(tmp_path / "old.jsonl.gz")
    waited: list[int] = []
    artifacts = FolderArtifactStore(tmp_path / "artifacts")
    report = prune(store, artifacts, tmp_path / "runs", options, archive, lambda: waited.append(1))
    assert (report.trainings, report.jobs, report.failed) == (going, 0, [])
    assert ids(store) == {trials[1].id, open_trial.id, base.id, new.id, young.id}
    assert store.jobs.get_job(search.id)
    assert waited

    report = prune(store, artifacts, tmp_path / "runs", PruneOptions(BEFORE), archive, lambda: None)
    archive.close()
    assert (report.trainings, report.jobs) == (1, 1)
    assert {job.id for job in store.jobs.list_jobs(10).items} == {active.id, recent.id}
    with gzip.open(tmp_path / "old.jsonl.gz", "rt") as file:
        lines = [json.loads(line) for line in file]
    kept = {line["training"]["_id"]: line for line in lines if "training" in line}
    assert set(kept) == {training.id for training in [*trials, *singles]}
    assert [result["epoch"] for result in kept[trials[0].id]["results"]] == [1, 2, 3]
    assert Training.from_document(kept[trials[0].id]["training"]) == trials[0]
    assert [Job.from_document(line["job"]) for line in lines if "job" in line] == [search]


def test_the_space_comes_back(database: Database, store: Store) -> None:
    store.queue.add_trainings([ended(config={**CONFIG, "note": "x" * 2000}) for _ in range(500)])
    rows = [one.row for one in store.retention.ended_page(COMPLETED, BEFORE, 500).items]
    assert store.retention.remove_ended(rows) == 500
    waited: list[int] = []
    compaction = store.retention.compact(lambda: waited.append(1))
    if database.kind == "mongo":
        assert compaction.freed == 0
        assert compaction.note
        return
    assert waited
    assert compaction.note is None
    assert compaction.freed > 900_000
    assert Path(database.where).stat().st_size < 200_000
    assert store.retention.compact(lambda: None).freed == 0


def test_a_file_of_an_earlier_version_shrinks_when_nothing_runs(
    database: Database, open_store: Callable[[], Store], tmp_path: Path
) -> None:
    if database.kind != "sqlite":
        pytest.skip("only SQLite has files of its own")
    path = Path(database.where)
    path.parent.mkdir()
    with sqlite3.connect(path) as bare:  # what the version before did first
        bare.execute("PRAGMA journal_mode = WAL")
    bare.close()
    store = open_store()
    running = a_training()
    store.queue.add_trainings([ended(config={**CONFIG, "note": "x" * 2000}) for _ in range(500)])
    store.queue.add_trainings([running])
    store.queue.claim_training(running.id, an_attempt(running))
    store.retention.remove_ended([one.row for one in store.retention.ended_page(COMPLETED, BEFORE, 500).items])
    refused = store.retention.compact(lambda: None)
    assert refused.freed == 0
    assert refused.note is not None
    assert "earlier version" in refused.note
    error = TrainingErrorInfo(type="Canceled", message="canceled")
    store.queue.end_attempt(running.id, 1, later(2), AttemptOutcome.CANCELED, TrainingStatus.CANCELED, error)
    assert store.retention.compact(lambda: None).freed > 900_000
    assert path.stat().st_size < 200_000
    assert store.trainings.get_training(running.id).status == TrainingStatus.CANCELED
