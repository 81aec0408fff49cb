"""Reads and counts the documents of a SQLite database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from mitorch_service.errors import BrokenDocument
from mitorch_service.stores.requests import Collection, Query, QueryPlan, StoredDocument
from mitorch_service.stores.salvage import check_status, parse_document, salvage_document
from mitorch_service.stores.sqlite.columns import time_text
from mitorch_service.stores.sqlite.connection import SqliteConnection
from mitorch_service.stores.sqlite.query import conditions_of, query_columns, source_of
from mitorch_service.stores.sqlite.schema import TABLES

_SCANNED_AT_ONCE = 1000  # documents
_VARIABLES = 500  # in one statement; SQLite before 3.32 takes 999


class SqliteReading:
    """The reads, of many documents by a query or of one by its `_id`."""

    def __init__(self, connection: SqliteConnection) -> None:
        self._connection = connection

    def find(self, query: Query) -> Iterator[dict[str, Any]]:
        sql, values = _select(query)
        with self._connection.errors():
            rows = self._connection.rows(sql, values)
        name = TABLES[query.collection].apart
        for id, body, apart in rows:
            try:
                document = parse_document(id, body, apart, name)
            except ValueError:
                document = self.salvage(query.collection, id) or {"_id": id}
            for field in query.without:
                document.pop(field, None)
            yield document

    def bodies_between(self, collection: Collection, low: str, high: str) -> list[tuple[str, bytes]]:
        """Returns the `_id` and the stored text of the documents with low <= `_id` < high, damaged ones among them."""
        sql = f"SELECT _id, CAST(body AS BLOB) FROM {collection} WHERE _id >= ? AND _id < ?"
        return self._connection.rows(sql, (low, high))

    def scan(self, collection: Collection) -> Iterator[dict[str, Any]]:
        query = Query(collection, order=(("_id", 1),), limit=_SCANNED_AT_ONCE)
        while page := list(self.find(query)):
            yield from page
            query = replace(query, after=(page[-1]["_id"],))

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

    def explain(self, query: Query) -> QueryPlan:
        sql, values = _select(query)
        with self._connection.errors():
            steps = [row[3] for row in self._connection.rows(f"EXPLAIN QUERY PLAN {sql}", values)]
        scans = [step for step in steps if step.startswith("SCAN") and "USING" not in step]
        return QueryPlan(
            uses_index=not scans, sorts=any("TEMP B-TREE" in step for step in steps), text="\n".join(steps)
        )

    def read(self, collection: Collection, id: object) -> StoredDocument | None:
        """The document without what is stored apart. Raises BrokenDocument if its text is none."""
        rows = self._connection.rows(f"SELECT CAST(body AS BLOB) FROM {collection} WHERE _id = ?", (id,))
        try:
            return parse_document(id, rows[0][0]) if rows else None
        except ValueError as error:
            raise BrokenDocument(collection.removesuffix("s"), id, f"its stored text is damaged ({error})") from error

    def salvage(self, collection: Collection, id: object) -> StoredDocument | None:
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

    def present(self, collection: Collection, ids: Sequence[str]) -> list[str]:
        """Returns the ids under which there is a document. Within a transaction."""
        found = []
        for start in range(0, len(ids), _VARIABLES):
            some = ids[start : start + _VARIABLES]
            marks = ", ".join("?" * len(some))
            found += self._connection.db.execute(
                f"SELECT _id FROM {collection} WHERE _id IN ({marks})", some
            ).fetchall()
        return [id for (id,) in found]


def _select(query: Query) -> tuple[str, tuple[Any, ...]]:
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
