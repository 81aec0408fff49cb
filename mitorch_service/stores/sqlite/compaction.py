"""Gives the space of deleted documents in a SQLite file back to the file system."""

from __future__ import annotations

from collections.abc import Callable

from mitorch_service.models.status import ACTIVE
from mitorch_service.stores.requests import Compaction, Query
from mitorch_service.stores.sqlite.connection import SqliteConnection
from mitorch_service.stores.sqlite.reading import SqliteReading

_CHECKPOINT_MILLISECONDS = 2000  # while it waits for readers nobody can write
_INCREMENTAL = 2  # what PRAGMA auto_vacuum answers
_VACUUM_PAGES = 250  # of 4 KB, moved in one transaction: some milliseconds


def compact(connection: SqliteConnection, reading: SqliteReading, wait: Callable[[], object]) -> Compaction:
    """Frees the pages, then lets the file shrink; `wait` is called between the steps."""
    with connection.errors():
        before = _pages(connection)
        note = _vacuum(connection, reading, wait)
        connection.rows(f"PRAGMA busy_timeout = {_CHECKPOINT_MILLISECONDS}", ())
        try:
            busy = connection.rows("PRAGMA wal_checkpoint(TRUNCATE)", ())[0][0]
        finally:
            connection.rows("PRAGMA busy_timeout = 0", ())
        size = connection.rows("PRAGMA page_size", ())[0][0]
        held = "another process is reading: the file shrinks when that is done" if busy else None
        return Compaction(max(0, before - _pages(connection)) * size, note or held)


def _vacuum(connection: SqliteConnection, reading: SqliteReading, wait: Callable[[], object]) -> str | None:
    """Frees pages in short transactions. A file of an earlier version cannot do that: it is rewritten once, while no
    run can want to write."""
    if connection.rows("PRAGMA auto_vacuum", ())[0][0] == _INCREMENTAL:
        for _ in range(-(-connection.rows("PRAGMA freelist_count", ())[0][0] // _VACUUM_PAGES)):
            connection.script(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})")
            wait()
        return None
    if reading.count(Query("trainings", {"status": ACTIVE})):
        return "the file is of an earlier version and shrinks only while no training is queued on a cluster or running"
    connection.rows("PRAGMA auto_vacuum = INCREMENTAL", ())
    connection.rows("VACUUM", ())
    return None


def _pages(connection: SqliteConnection) -> int:
    number: int = connection.rows("PRAGMA page_count", ())[0][0]
    return number
