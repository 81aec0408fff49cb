"""A database of dictionaries, in which a history takes a fraction of the time that it takes in SQLite.

It answers as the SQLite leaf does, also in the order of what a query leaves unordered, so that a seed gives the same
history in both (`test_memory_database.py`, and one in a hundred of scripts/simulate). Guards, dotted paths and
upgrades are the product's own functions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any, NoReturn, TypeVar

from mitorch_service.errors import StoreError
from mitorch_service.models.base import Document
from mitorch_service.models.schema_versions import is_known, upgraded_for
from mitorch_service.stores.document_paths import guard_holds, set_at, value_at
from mitorch_service.stores.primitives import Primitives
from mitorch_service.stores.requests import Collection, Compaction, Guarded, Query, QueryPlan, Removal, StoredDocument
from mitorch_service.stores.sqlite.schema import TABLES

Model = TypeVar("Model", bound=Document)
Key = tuple[int, Any]  # of a value in the order of SQLite: nothing, then numbers, then texts
_WHOLE = frozenset({str, int, float, bool, type(None), datetime})  # values without parts
_APART = {name: table.apart or "" for name, table in TABLES.items()}
_UNKNOWN = frozenset({"tags", *(path for table in TABLES.values() for path in table.times)})
_NOTHING: Key = (0, 0)


class Row:
    """One version of a document, which nobody changes; what models make of it is kept."""

    __slots__ = ("_models", "document", "id")

    def __init__(self, document: StoredDocument) -> None:
        """`document`: whose parts nobody else has."""
        self.id: str = document["_id"]
        self.document = document
        self._models: dict[tuple[type[Document], tuple[str, ...]], Document] = {}

    def fields(self, without: Sequence[str]) -> StoredDocument:
        """A copy for somebody who may change it."""
        return {name: _copy(value) for name, value in self.document.items() if name not in without}

    def read(self, model: type[Model], without: tuple[str, ...]) -> Model:
        """The document as a model. Raises BrokenDocument."""
        found = self._models.get((model, without))
        if found is None:
            document = self.document
            shown = {name: value for name, value in document.items() if name not in without} if without else document
            found = self._models[model, without] = model.from_document(shown)
        return found  # type: ignore[return-value]

    def value(self, path: str) -> object:
        """Returns the value at a path."""
        document = self.document
        return document.get(path) if "." not in path else value_at(document, path)

    def key(self, path: str) -> Key:
        """Returns the value at a path, to be compared with others."""
        return _key(self.value(path))


class MemoryDatabase(Primitives):
    """Each change is atomic, as nothing else goes on meanwhile."""

    def __init__(self) -> None:
        self._tables: dict[Collection, dict[str, Row]] = {name: {} for name in TABLES}

    def prepare(self) -> None:
        pass

    def ping(self) -> str:
        return "memory"

    def close(self) -> None:
        pass

    def time_limit(self, seconds: float) -> AbstractContextManager[None]:
        return nullcontext()

    def check_writes(self) -> None:
        pass

    def insert(self, collection: Collection, documents: Iterable[Mapping[str, Any]]) -> int:
        table = self._tables[collection]
        new = {one["_id"]: one for one in documents if one["_id"] not in table}
        table.update({id: Row(_copy(one)) for id, one in new.items()})
        return len(new)

    def rows(self, query: Query) -> list[Row]:
        """The documents of a query, in its order."""
        rows = self._matching(query)
        if len(rows) > 1:
            if query.order:
                for path, sign in reversed(query.order):
                    rows.sort(key=lambda row: row.key(path), reverse=sign < 0)
            else:
                rows.sort(key=_order_of_index(query))
        return rows if query.limit is None else rows[: query.limit]

    def find(self, query: Query) -> Iterator[StoredDocument]:
        return iter([row.fields(query.without) for row in self.rows(query)])

    def scan(self, collection: Collection) -> Iterator[StoredDocument]:
        return self.find(Query(collection, order=(("_id", 1),)))

    def count(self, query: Query) -> int:
        return len(self._matching(query))

    def count_statuses(self, job_id: str | None) -> dict[str, int]:
        documents = (row.document for row in self._tables["trainings"].values())
        counts = Counter(one["status"] for one in documents if job_id is None or one.get("job_id") == job_id)
        return dict(sorted(counts.items()))

    def change(self, change: Guarded) -> StoredDocument | None:
        table = self._tables[change.collection]
        row = table.get(str(change.id))
        if row is None or not is_known(change.collection, row.document):
            return None
        document = upgraded_for(change.collection, row.document, change.set.get("status"))
        if not guard_holds(document, change.expect):
            return None
        try:
            _set(document, change.set)
        except ValueError as error:
            raise StoreError("in memory", str(error), "The document is damaged: see miquery.") from error
        table[row.id] = Row(document)
        after = dict(document)
        after.pop(_APART[change.collection], None)
        return after

    def change_all(self, changes: Sequence[Guarded]) -> list[bool]:
        return [self._try_change(change) for change in changes]

    def put(self, collection: Collection, document: Mapping[str, Any], fence: str) -> bool:
        found = self._tables[collection].get(document["_id"])
        if found is not None and found.document[fence] > document[fence]:
            return False
        self.replace(collection, document)
        return True

    def raise_between(self, collection: Collection, low: str, high: str, field: str, least: int) -> None:
        table = self._tables[collection]
        for id in [id for id in table if low <= id < high and table[id].document.get(field, least - 1) < least]:
            self.replace(collection, {**table[id].document, field: least})

    def replace(self, collection: Collection, document: Mapping[str, Any]) -> None:
        self._tables[collection][document["_id"]] = Row(_copy(document))

    def adopt(
        self, collection: Collection, id: object, expect: Mapping[str, tuple[Any, ...]], document: StoredDocument
    ) -> bool:
        _unknown("adoption")

    def remove(self, collection: Collection, id: object, expect: Mapping[str, tuple[Any, ...]]) -> bool:
        table = self._tables[collection]
        row = table.get(str(id))
        if row is None or not is_known(collection, row.document) or not guard_holds(row.document, expect):
            return False
        del table[row.id]
        return True

    def remove_between(self, collection: Collection, low: str, high: str, unless: tuple[str, int] | None = None) -> int:
        table = self._tables[collection]
        found = [id for id in table if low <= id < high]
        if unless is not None:
            found = [id for id in found if table[id].document[unless[0]] < unless[1]]
        for id in found:
            del table[id]
        return len(found)

    def remove_all(self, removals: Sequence[Removal]) -> int:
        _unknown("deletion of trainings")

    def compact(self, wait: Callable[[], object]) -> Compaction:
        return Compaction(0)

    def explain(self, query: Query) -> QueryPlan:
        _unknown("plan of queries")

    def clear(self) -> None:
        """Removes everything."""
        for table in self._tables.values():
            table.clear()

    def _try_change(self, change: Guarded) -> bool:
        try:
            return self.change(change) is not None
        except StoreError:
            return False

    def _matching(self, query: Query) -> list[Row]:
        table, where = self._tables[query.collection], query.where
        if not _UNKNOWN.isdisjoint(where) or (query.between is not None and query.between[0] in _UNKNOWN):
            _unknown("search by tags or times")
        id = where.get("_id")
        found = list(table.values()) if not isinstance(id, str) else [table[id]] if id in table else []
        for path, value in where.items():
            if isinstance(value, tuple):
                found = [row for row in found if row.value(path) in value]
            else:
                found = [row for row in found if row.value(path) == value]
        if query.between is not None:
            path, low, high = query.between
            lowest, highest = _key(low), _key(high)
            found = [row for row in found if lowest <= row.key(path) < highest]
        if query.after is not None:
            found = _behind(found, query.order, query.after)
        return found


def _behind(rows: list[Row], order: Sequence[tuple[str, int]], after: tuple[object, ...]) -> list[Row]:
    last = [_key(value) for value in after]
    if order[0][1] > 0:
        return [row for row in rows if [row.key(path) for path, _ in order] > last]
    return [row for row in rows if [row.key(path) for path, _ in order] < last]


def _order_of_index(query: Query) -> Callable[[Row], list[Key]]:
    """The order of the index by which SQLite finds what is to be in no particular order."""
    if "_id" in query.where or query.collection != "trainings" or "status" not in query.where:
        paths: tuple[str, ...] = ("_id",)
    elif "job_id" in query.where:
        paths = ("status",)  # then as they were inserted
    else:
        paths = ("status", "shares.team", "priority", "arrival", "_id")
    return lambda row: [row.key(path) for path in paths]


def _key(value: object) -> Key:
    if value is None:
        return _NOTHING
    return (2, value) if isinstance(value, str) else (1, value)


def _set(document: StoredDocument, changes: Mapping[str, Any]) -> None:
    """Sets paths of a document that shares its parts with the version before. Raises ValueError."""
    copied = set()
    for path, value in changes.items():
        name, dot, _ = path.partition(".")
        own = value if type(value) in _WHOLE else _copy(value)
        if not dot:
            document[name] = own
            continue
        if name not in copied:
            document[name] = _copy(document.get(name))
            copied.add(name)
        set_at(document, path, own)


def _copy(value: Any) -> Any:
    """A copy that shares nothing that can be changed; times stay times, as MongoDB has them."""
    if isinstance(value, dict):
        return {key: one if type(one) in _WHOLE else _copy(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [one if type(one) in _WHOLE else _copy(one) for one in value]
    return value


def _unknown(what: str) -> NoReturn:
    raise NotImplementedError(f"the simulation has no {what}")
