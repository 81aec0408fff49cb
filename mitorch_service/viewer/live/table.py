"""The rows of tables of trainings as they change: read once a second for all who watch, rendered where they differ."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from mitorch_service.errors import BrokenDocument
from mitorch_service.insights.tables.curves import add_curves
from mitorch_service.insights.tables.opening import Table
from mitorch_service.insights.tables.table import Row
from mitorch_service.insights.where.fields import BULK, FOLDS
from mitorch_service.models.training import TrainingRow
from mitorch_service.stores.base import Store
from mitorch_service.stores.document_paths import value_at
from mitorch_service.stores.requests import StoredDocument
from mitorch_service.stores.verbs.tables import IndexRange
from mitorch_service.viewer.context import Context
from mitorch_service.viewer.live.constant_html import constant
from mitorch_service.viewer.pages.table_rows import render_row

MOST_ROWS = 100  # that one page watches
MOST_NEW = 200  # arrivals of one read
_KEPT = 10_000  # rendered rows, and values of curves

Key = TypeVar("Key")
Value = TypeVar("Value")
Place = tuple[int, str]  # arrival and id
Without = tuple[str, ...]  # fields that are not read


@dataclass(frozen=True)
class Documents:
    """The trainings that were asked for, as far as they exist."""

    asked: frozenset[str]
    found: Mapping[str, StoredDocument]


class TableWatch:
    """Reads what all streams of tables together need. Called from their threads."""

    def __init__(self) -> None:
        self._watched: dict[Without, Counter[str]] = {}
        self._rendered: OrderedDict[tuple[str, str], tuple[Row, str]] = OrderedDict()
        self._folds: OrderedDict[tuple[object, ...], Mapping[str, object]] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def watching(self, ids: Sequence[str], without: Without) -> Iterator[None]:
        """Reads these trainings with those of the others, until the context ends."""
        with self._lock:
            self._watched.setdefault(without, Counter()).update(ids)
        try:
            yield
        finally:
            with self._lock:
                self._watched[without] -= Counter(ids)  # without those that nobody watches any more

    def read(self, store: Store, without: Without) -> Documents:
        """Reads all trainings that are watched, by their ids. Raises StoreUnavailable, QueryTimedOut."""
        with self._lock:
            ids = [*self._watched.get(without, ())]
        return Documents(frozenset(ids), store.tables.documents(ids, without))

    def render(self, table: Table, ids: Sequence[str], documents: Documents, now: datetime) -> dict[str, str]:
        """Returns the HTML of those of the trainings that exist and can be read; kept where no cell has changed."""
        columns = ",".join(column.name for column in table.columns)
        found: dict[str, str] = {}
        for id in ids:
            document = documents.found.get(id)
            row = None if document is None else self._row(table, document, now)
            if row is not None:
                found[id] = self._html(columns, table, row, now)
        return found

    def _html(self, columns: str, table: Table, row: Row, now: datetime) -> str:
        with self._lock:
            kept = self._rendered.get((columns, row.id))
        if kept is not None and kept[0] == row:
            return kept[1]
        html = render_row(table.columns, row, now)
        with self._lock:
            _keep(self._rendered, (columns, row.id), (row, html))
        return html

    def _row(self, table: Table, document: StoredDocument, now: datetime) -> Row | None:
        curves = [column.field for column in table.columns if column.field.curve is not None]
        if curves:  # which are read anew only where an epoch has come
            names = tuple(field.name for field in curves)
            key = (document["_id"], value_at(document, "progress.epoch"), document.get("attempt"), names)
            with self._lock:
                known = self._folds.get(key)
            document = {**document, FOLDS: dict(known or {})}
            add_curves(table.store, document, curves)
            with self._lock:
                _keep(self._folds, key, document[FOLDS])
        try:
            row = TrainingRow.from_document(document)
        except BrokenDocument:
            return None  # the table itself tells of it
        return Row(row.id, row.status, [column.cell(document, now) for column in table.columns])


def without_of(table: Table) -> Without:
    """The fields that no column needs."""
    needs = {name for column in table.columns for name in column.field.needs}
    return tuple(name for name in BULK if name not in needs)


def arrivals(store: Store, behind: Place) -> list[StoredDocument]:
    """The trainings that came behind this one, oldest first, as far as one read goes."""
    return store.tables.rows(IndexRange(), False, MOST_NEW, behind)


def newest_place(store: Store) -> Place:
    """The place of the newest training; before all if there is none."""
    bulk = (*BULK, "progress", "evaluation", "status_times", "user_note")
    return next((place_of(document) for document in store.tables.rows(IndexRange(), True, 1, None, bulk)), (0, ""))


def place_of(document: StoredDocument) -> Place:
    """Its place in the order of arrival."""
    arrival, id = document.get("arrival"), document.get("_id")
    return (arrival if isinstance(arrival, int) else 0, str(id))


def version_of(rows: Mapping[str, str]) -> str:
    """Names what rows show: equal where a reader would see the same."""
    shown = "\0".join(constant(html) for _, html in sorted(rows.items()))
    return hashlib.blake2b(shown.encode("utf-8", "replace"), digest_size=9).hexdigest()


def table_watch_of(context: Context) -> TableWatch:
    """The one watch of a server."""
    return context.once("table watch", TableWatch)


def _keep(kept: OrderedDict[Key, Value], key: Key, value: Value) -> None:
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > _KEPT:
        kept.popitem(last=False)
