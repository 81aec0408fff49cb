"""Columns, conditions and values of SQL for the requests of the store on SQLite."""

from __future__ import annotations

from typing import Any

from mitorch_service.stores.requests import Query
from mitorch_service.stores.sqlite.columns import stored
from mitorch_service.stores.sqlite.schema import TABLES
from mitorch_service.stores.sqlite.tags import TAG_TABLES


def source_of(query: Query) -> str:
    """Returns the tables that a query reads."""
    table = query.collection
    if "tags" not in query.where:
        return table
    return f"{TAG_TABLES[table]} AS tagged CROSS JOIN {table} ON {table}._id = tagged._id"


def query_columns(query: Query) -> dict[str, str]:
    """Dotted path -> column; a search by tag walks the table of tags, in its order."""
    columns = {"_id": "_id", **TABLES[query.collection].columns}
    if "tags" in query.where:
        columns |= {"tags": "tagged.tag", "arrival": "tagged.arrival", "_id": "tagged._id"}
    return columns


def conditions_of(query: Query) -> tuple[str, tuple[Any, ...]]:
    """Returns the WHERE clause of a query, empty if it has none, and its values."""
    columns = query_columns(query)
    parts: list[str] = []
    values: list[Any] = []
    for path, value in query.where.items():
        if isinstance(value, tuple) and None in value:
            some = [one for one in value if one is not None]
            parts.append(f"({columns[path]} IN ({', '.join('?' * len(some))}) OR {columns[path]} IS NULL)")
            values += some
        elif isinstance(value, tuple):
            parts.append(f"{columns[path]} IN ({', '.join('?' * len(value))})")
            values += value
        else:
            parts.append(f"{columns[path]} {'IS' if value is None else '='} ?")
            values.append(value)
    if query.between is not None:
        path, low, high = query.between
        parts.append(f"{columns[path]} >= ? AND {columns[path]} < ?")
        values += [stored(low), stored(high)]
    if query.after is not None:
        names = ", ".join(columns[path] for path, _ in query.order)
        marks = ", ".join("?" * len(query.order))
        parts.append(f"({names}) {'>' if query.order[0][1] > 0 else '<'} ({marks})")
        values += map(stored, query.after)
    return ("WHERE " + " AND ".join(parts) if parts else ""), tuple(values)
