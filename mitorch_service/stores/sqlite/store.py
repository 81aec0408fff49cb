"""The store on one SQLite file: many processes, one machine (or none but this one, in memory)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import chain
from pathlib import Path
from typing import Any

from mitorch_service.errors import BrokenDocument, StoreError
from mitorch_service.file_access import PRIVATE, FileAccess
from mitorch_service.models.status import ACTIVE
from mitorch_service.stores.base import Store
from mitorch_service.stores.document_paths import guard_holds, set_at, to_text
from mitorch_service.stores.primitives import Primitives
from mitorch_service.stores.requests import Collection, Compaction, Guarded, Query, QueryPlan, Removal, StoredDocument
from mitorch_service.stores.salvage import check_status, parse_document, salvage_document
from mitorch_service.stores.sqlite.columns import column_names, column_values, time_text
from mitorch_service.stores.sqlite.connection import SqliteConnection
from mitorch_service.stores.sqlite.query import conditions_of, query_columns, source_of
from mitorch_service.stores.sqlite.schema import TABLES
from mitorch_service.stores.sqlite.tags import add_tags, remove_tags, tag_rows

_CHECKPOINT_MILLISECONDS = 2000  # while it waits for readers nobody can write
_INCREMENTAL = 2  # what PRAGMA auto_vacuum answers
_VARIABLES = 500  # in one statement; SQLite before 3.32 takes 999
_VACUUM_PAGES = 250  # of 4 KB, moved in one transaction: some milliseconds


class SqliteStore(Store):
    """The store in the file at `path`, which is created if it is missing (with `created_late` by the first write);
    None: in memory, for as long as this object lives."""

    def __init__(self, path: Path | None, access: FileAccess = PRIVATE, created_late: bool = False) -> None:
        super().__init__(SqliteDatabase(path, access, created_late))


class SqliteDatabase(Primitives):
    """Each document as JSON text beside the columns by which it is found; see `SqliteConnection` for what survives."""

    def __init__(self, path: Path | None, access: FileAccess = PRIVATE, created_late: bool = False) -> None:
        self._connection = SqliteConnection(path, access, created_late)

    def prepare(self) -> None:
        pass  # opening has created everything

    def ping(self) -> str:
        with self._connection.errors():
            self._connection.rows("SELECT count(*) FROM sqlite_schema", ())
        return f"SQLite {sqlite3.sqlite_version}, {self._connection.where}"

    def close(self) -> None:
        self._connection.close()

    def time_limit(self, seconds: float) -> AbstractContextManager[None]:
        return self._connection.time_limit(seconds)

    def check_writes(self) -> None:
        with self._connection.transaction():
            self._connection.db.execute("UPDATE training_counts SET n = n WHERE job_id = ''")

    def insert(self, collection: Collection, documents: Iterable[Mapping[str, Any]]) -> int:
        rows: dict[str, tuple[Any, ...]] = {}
        tags: dict[str, list[tuple[str, Any, Any]]] = {}
        for document in documents:  # one is held at a time: many would keep Python's collector busy
            id = document["_id"]
            if id not in rows:
                rows[id] = tuple(self._row(collection, document).values())
                tags[id] = tag_rows(collection, document)
        with self._connection.transaction():
            for id in self._present(collection, list(rows)):
                del rows[id], tags[id]
            names = column_names(collection)
            sql = f"INSERT INTO {collection} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
            self._connection.db.executemany(sql, rows.values())
            add_tags(self._connection.db, collection, chain.from_iterable(tags.values()))
        return len(rows)

    def find(self, query: Query) -> Iterator[dict[str, Any]]:
        sql, values = self._select(query)
        with self._connection.errors():
            rows = self._connection.rows(sql, values)
        name = TABLES[query.collection].apart
        for id, body, apart in rows:
            try:
                document = parse_document(id, body, apart, name)
            except ValueError:
                document = self._salvage(query.collection, id) or {"_id": id}
            for field in query.without:
                document.pop(field, None)
            yield document

    def count(self, query: Query) -> int:
        conditions, values = conditions_of(query)
        with self._connection.errors():
            number: int = self._connection.rows(f"SELECT count(*) FROM {source_of(query)} {conditions}", values)[0][0]
        return number

    def count_statuses(self, job_id: str | None) -> dict[str, int]:
        with self._connection.errors():
            rows = self._connection.rows(
                "SELECT status, n FROM training_counts WHERE job_id = ? AND n > 0", (job_id or "",)
            )
        return dict(rows)

    def change(self, change: Guarded) -> dict[str, Any] | None:
        with self._connection.transaction():
            return self._change(change)

    def change_all(self, changes: Sequence[Guarded]) -> list[bool]:
        with self._connection.transaction():
            return [self._try_change(change) for change in changes]

    def put(self, collection: Collection, document: Mapping[str, Any], fence: str) -> bool:
        with self._connection.transaction():
            return self._put(collection, document, fence)

    def change_then_put(
        self, change: Guarded, collection: Collection, document: Mapping[str, Any], fence: str
    ) -> dict[str, Any] | None:
        with self._connection.transaction():
            after = self._change(change)
            return after if after is not None and self._put(collection, document, fence) else None

    def replace(self, collection: Collection, document: Mapping[str, Any]) -> None:
        with self._connection.transaction():
            self._replace(collection, document)

    def mend(self, collection: Collection, id: object) -> bool:
        with self._connection.transaction():
            document = self._salvage(collection, id)
            if document is not None:
                self._replace(collection, document)
            return document is not None

    def remove(self, collection: Collection, id: object, expect: Mapping[str, tuple[Any, ...]]) -> bool:
        with self._connection.transaction():
            return self._remove(collection, id, expect)

    def remove_between(self, collection: Collection, low: str, high: str) -> int:
        with self._connection.transaction():
            return self._connection.db.execute(
                f"DELETE FROM {collection} WHERE _id >= ? AND _id < ?", (low, high)
            ).rowcount

    def remove_all(self, removals: Sequence[Removal]) -> int:
        with self._connection.transaction():
            return sum(self._remove_with_records(removal) for removal in removals)

    def compact(self, wait: Callable[[], object]) -> Compaction:
        with self._connection.errors():
            before = self._pages()
            note = self._vacuum(wait)
            self._connection.rows(f"PRAGMA busy_timeout = {_CHECKPOINT_MILLISECONDS}", ())
            try:
                busy = self._connection.rows("PRAGMA wal_checkpoint(TRUNCATE)", ())[0][0]
            finally:
                self._connection.rows("PRAGMA busy_timeout = 0", ())
            size = self._connection.rows("PRAGMA page_size", ())[0][0]
            held = "another process is reading: the file shrinks when that is done" if busy else None
            return Compaction(max(0, before - self._pages()) * size, note or held)

    def explain(self, query: Query) -> QueryPlan:
        sql, values = self._select(query)
        with self._connection.errors():
            steps = [row[3] for row in self._connection.rows(f"EXPLAIN QUERY PLAN {sql}", values)]
        scans = [step for step in steps if step.startswith("SCAN") and "USING" not in step]
        return QueryPlan(
            uses_index=not scans, sorts=any("TEMP B-TREE" in step for step in steps), text="\n".join(steps)
        )

    def _change(self, change: Guarded) -> dict[str, Any] | None:
        document = self._read(change.collection, change.id)
        if document is None or not guard_holds(document, change.expect):
            return None
        columns, apart = TABLES[change.collection].columns, TABLES[change.collection].apart
        before = column_values(change.collection, document)
        tagged = tag_rows(change.collection, document) if "tags" in change.set else None
        try:
            for path, value in change.set.items():
                set_at(document, path, value)
        except ValueError as error:
            raise StoreError(self._connection.where, str(error), "The document is damaged: see miquery.") from error
        # Columns that stay as they are are left out: each one named costs its indexes an entry.
        after = column_values(change.collection, document)
        row = {columns[path]: value for path, value in after.items() if value != before[path] or path in change.set}
        if apart is not None and apart in change.set:
            row[apart] = to_text(document.pop(apart))
        names = ", ".join(f"{name} = ?" for name in ("body", *row))
        values = (to_text(document), *row.values(), change.id)
        self._connection.db.execute(f"UPDATE {change.collection} SET {names} WHERE _id = ?", values)
        if tagged is not None:
            remove_tags(self._connection.db, change.collection, tagged)
            add_tags(self._connection.db, change.collection, tag_rows(change.collection, document))
        return document

    def _try_change(self, change: Guarded) -> bool:
        """Returns False for a damaged document, of which nothing was written, so that the other changes stay."""
        try:
            return self._change(change) is not None
        except (StoreError, BrokenDocument):
            return False

    def _put(self, collection: Collection, document: Mapping[str, Any], fence: str) -> bool:
        try:
            found = self._read(collection, document["_id"])
            if found is not None and found[fence] > document[fence]:
                return False
        except (BrokenDocument, KeyError, TypeError):  # it is damaged: nothing is lost
            pass
        row = self._row(collection, document)
        sql = f"INSERT OR REPLACE INTO {collection} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"
        self._connection.db.execute(sql, tuple(row.values()))
        return True

    def _replace(self, collection: Collection, document: Mapping[str, Any]) -> None:
        row = self._row(collection, document)
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        # REPLACE would delete the row before without its trigger, and so miscount.
        sets = ", ".join(f"{name} = excluded.{name}" for name in row if name != "_id")
        sql = f"INSERT INTO {collection} ({names}) VALUES ({marks}) ON CONFLICT (_id) DO UPDATE SET {sets}"
        self._connection.db.execute(sql, tuple(row.values()))
        add_tags(self._connection.db, collection, tag_rows(collection, document))

    def _row(self, collection: Collection, document: Mapping[str, Any]) -> dict[str, Any]:
        table = TABLES[collection]
        body = {name: value for name, value in document.items() if name != table.apart}
        row: dict[str, Any] = {"_id": document["_id"]}
        row.update({table.columns[path]: value for path, value in column_values(collection, document).items()})
        if table.apart is not None:
            row[table.apart] = to_text(document.get(table.apart))
        row["body"] = to_text(body)
        return row

    def _present(self, collection: Collection, ids: Sequence[str]) -> list[str]:
        found = []
        for start in range(0, len(ids), _VARIABLES):
            some = ids[start : start + _VARIABLES]
            marks = ", ".join("?" * len(some))
            found += self._connection.db.execute(
                f"SELECT _id FROM {collection} WHERE _id IN ({marks})", some
            ).fetchall()
        return [id for (id,) in found]

    def _select(self, query: Query) -> tuple[str, tuple[Any, ...]]:
        apart = TABLES[query.collection].apart
        second = "NULL" if apart is None or apart in query.without else apart
        conditions, values = conditions_of(query)
        columns = query_columns(query)
        order = ", ".join(f"{columns[path]} {'ASC' if sign > 0 else 'DESC'}" for path, sign in query.order)
        table = query.collection  # as bytes: text that is not UTF-8 would fail the whole query
        source = source_of(query)
        sql = f"SELECT {table}._id, CAST(body AS BLOB), CAST({second} AS BLOB) FROM {source} {conditions}"
        if order:
            sql += f" ORDER BY {order}"
        if query.limit is not None:
            sql += f" LIMIT {int(query.limit)}"
        return sql, values

    def _remove(self, collection: Collection, id: object, expect: Mapping[str, tuple[Any, ...]]) -> bool:
        try:
            document = self._read(collection, id)
        except BrokenDocument:
            document = self._salvage(collection, id)
        if document is None or not guard_holds(document, expect):
            return False
        self._connection.db.execute(f"DELETE FROM {collection} WHERE _id = ?", (id,))
        remove_tags(self._connection.db, collection, tag_rows(collection, document))
        return True

    def _read(self, collection: Collection, id: object) -> StoredDocument | None:
        """The document without what is stored apart. Raises BrokenDocument if its text is none."""
        rows = self._connection.rows(f"SELECT CAST(body AS BLOB) FROM {collection} WHERE _id = ?", (id,))
        try:
            return parse_document(id, rows[0][0]) if rows else None
        except ValueError as error:
            raise BrokenDocument(collection.removesuffix("s"), id, f"its stored text is damaged ({error})") from error

    def _salvage(self, collection: Collection, id: object) -> StoredDocument | None:
        """Returns what can be read of a document whose text is none, or has another status than its row; else None."""
        table = TABLES[collection]
        names = ["CAST(body AS BLOB)", f"CAST({table.apart or 'NULL'} AS BLOB)", *table.columns.values()]
        for body, apart, *values in self._connection.rows(
            f"SELECT {', '.join(names)} FROM {collection} WHERE _id = ?", (id,)
        ):
            columns = {
                path: time_text(value) if path in table.times else value
                for path, value in zip(table.columns, values, strict=True)
            }
            try:
                document = parse_document(id, body, apart, table.apart)
                check_status(document, columns)
            except ValueError as error:
                return salvage_document(id, body, apart, table.apart, columns, str(error))
        return None

    def _remove_with_records(self, removal: Removal) -> bool:
        if not self._remove(removal.collection, removal.id, removal.expect):
            return False
        records, low, high = removal.records
        self._connection.db.execute(f"DELETE FROM {records} WHERE _id >= ? AND _id < ?", (low, high))
        return True

    def _vacuum(self, wait: Callable[[], object]) -> str | None:
        """Frees pages in short transactions. A file of an earlier version cannot do that: it is rewritten once, while
        no run can want to write."""
        if self._connection.rows("PRAGMA auto_vacuum", ())[0][0] == _INCREMENTAL:
            for _ in range(-(-self._connection.rows("PRAGMA freelist_count", ())[0][0] // _VACUUM_PAGES)):
                with self._connection.lock:  # execute would free one page only: it stops at a row without columns
                    self._connection.db.executescript(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})")
                wait()
            return None
        if self.count(Query("trainings", {"status": ACTIVE})):
            return (
                "the file is of an earlier version and shrinks only while no training is queued on a cluster or running"
            )
        self._connection.rows("PRAGMA auto_vacuum = INCREMENTAL", ())
        self._connection.rows("VACUUM", ())
        return None

    def _pages(self) -> int:
        number: int = self._connection.rows("PRAGMA page_count", ())[0][0]
        return number
