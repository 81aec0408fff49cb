"""A file that an earlier version has written is brought up to date, with what it holds."""

from __future__ import annotations

import math
import sqlite3
from pathlib import Path

from mitorch_service.models.status import TrainingStatus
from mitorch_service.stores.sqlite.schema import VERSION, statements
from mitorch_service.stores.sqlite.store import SqliteStore
from mitorch_service.stores.verbs.tables import IndexOrder, IndexRange
from tests.older_files import forget_notifications, forget_times
from tests.samples import NOW, a_job, a_training, a_trial, later


def test_a_file_of_the_first_version_gets_what_is_new(tmp_path: Path) -> None:
    path, job = tmp_path / "test.db", a_job()
    new = statements(1)
    with sqlite3.connect(path) as first:
        for statement in statements(0):
            if statement not in new:
                first.execute(statement)
        first.execute("PRAGMA user_version = 1")
    first.close()
    for _ in range(2):
        store = SqliteStore(path)
        store.jobs.add_job(job)
        store.rungs.record_rung(job.id, 0, 1, 0, 3, 0.5)
        assert store.rungs.standing(job.id, 0, 3, 0.6) == (1, 1)
        assert store.jobs.get_job(job.id) == job
        store.close()
    with sqlite3.connect(path) as now:
        assert now.execute("PRAGMA user_version").fetchone() == (VERSION,)
    now.close()


def test_a_file_without_the_status_paused_counts_it_from_now_on(tmp_path: Path) -> None:
    path, training = tmp_path / "test.db", a_training()
    SqliteStore(path).close()
    with sqlite3.connect(path) as old:
        _forget_newer(old)
        old.execute("DELETE FROM training_counts WHERE status = 'paused'")
        old.execute("PRAGMA user_version = 4")
    old.close()
    store = SqliteStore(path)
    store.queue.add_trainings([training.model_copy(update={"status": TrainingStatus.PAUSED})])
    assert store.trainings.count_trainings() == {"paused": 1}
    store.close()


def test_the_names_in_an_older_file_are_found_and_what_is_damaged_is_left(tmp_path: Path) -> None:
    path, training, job, damaged = tmp_path / "test.db", a_training(name="first"), a_job(name="sweep"), a_training()
    store = SqliteStore(path)
    store.queue.add_trainings([training, damaged])
    store.jobs.add_job(job)
    store.close()
    with sqlite3.connect(path) as old:
        _forget_newer(old)
        old.execute("UPDATE trainings SET body = '{\"name\": ' WHERE _id = ?", (damaged.id,))
        old.execute("PRAGMA user_version = 5")
    old.close()
    store = SqliteStore(path)
    assert store.trainings.find_named("first") == [("training", training.id)]
    assert store.trainings.find_named("sweep") == [("job", job.id)]
    store.close()


def test_the_times_in_an_older_file_are_found_to_the_millisecond(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    ended = [
        a_training(
            status="failed",
            created_at=later(-n),
            status_times={"new": NOW, "failed": later(n / 1000)},
            evaluation={"val_loss": math.nan if n == 2 else 1.0},
        )
        for n in (3, 1, 2)
    ]
    waiting = a_training(created_at=later(-5))
    store = SqliteStore(path)
    store.queue.add_trainings([*ended, waiting])
    new = _orders(store)
    store.close()
    with sqlite3.connect(path) as old:
        forget_times(old)
        old.execute("PRAGMA user_version = 9")
    old.close()
    store = SqliteStore(path)
    assert _orders(store) == new == ([waiting.id, ended[0].id, ended[2].id, ended[1].id], [ended[2].id, ended[0].id])
    assert [row.id for row in store.queue.head_of_dataset(waiting.dataset, 5).items] == [waiting.id]
    store.queue.retry_training(ended[1].id, NOW)
    assert ended[1].id not in _orders(store)[1]
    store.close()


def _orders(store: SqliteStore) -> tuple[list[str], list[str]]:
    """The ids by creation, and of those that ended in the second and third millisecond by end."""
    late = IndexRange(IndexOrder.ENDED, low=later(0.002), high=later(0.004))
    ranges = IndexRange(IndexOrder.CREATED), late
    created, ended = ([row["_id"] for row in store.tables.rows(one, False, 10)] for one in ranges)
    return created, ended


def test_the_tags_of_jobs_in_an_older_file_are_found_and_what_is_damaged_is_left(tmp_path: Path) -> None:
    path, jobs = tmp_path / "test.db", [a_job(tags=["team=a", "x=1"]), a_job(), a_job(tags=["team=a"])]
    store = SqliteStore(path)
    for job in jobs:
        store.jobs.add_job(job)
    trial = a_trial(jobs[0].id, 0, status=TrainingStatus.PRUNED)
    store.queue.add_trainings([trial])
    store.close()
    with sqlite3.connect(path) as old:
        forget_notifications(old)
        forget_times(old)
        old.execute("DROP TABLE job_tags")
        old.execute('UPDATE jobs SET body = \'{"tags": ["team=a"\' WHERE _id = ?', (jobs[2].id,))
        old.execute("UPDATE trainings SET body = '{' WHERE _id = ?", (trial.id,))
        old.execute("PRAGMA user_version = 7")
    old.close()
    store = SqliteStore(path)
    assert [job.id for job in store.jobs.tagged_jobs("team=a")] == [jobs[0].id]
    assert [job.id for job in store.jobs.tagged_jobs("x=1")] == [jobs[0].id]
    assert store.trainings.count_trainings() == {"pruned": 1}
    store.close()


def test_a_file_without_notifications_gets_them(tmp_path: Path) -> None:
    path, training = tmp_path / "test.db", a_training(status=TrainingStatus.QUEUED)
    store = SqliteStore(path)
    store.queue.add_trainings([training])
    store.close()
    with sqlite3.connect(path) as old:
        forget_notifications(old)
        forget_times(old)
        old.execute("PRAGMA user_version = 8")
    old.close()
    store = SqliteStore(path)
    store.notifications.mark_trainings([training])
    assert store.trainings.get_training(training.id).announce_end
    assert store.notifications.count("ops") == (0, 0)
    store.close()


def _forget_newer(database: sqlite3.Connection) -> None:
    """Takes out what version 6 and later ones add."""
    forget_notifications(database)
    forget_times(database)
    for table in ("trainings", "jobs"):
        database.execute(f"DROP INDEX {table}_name")
        database.execute(f"ALTER TABLE {table} DROP COLUMN name")
