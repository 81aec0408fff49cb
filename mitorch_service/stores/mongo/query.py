"""Filters of MongoDB for the requests of the store, and what its plans say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mitorch_service.stores.requests import Query


def guard(id: object, expect: Mapping[str, tuple[Any, ...]]) -> dict[str, Any]:
    return {"_id": id, **{path: {"$in": list(values)} for path, values in expect.items()}}


def conditions(query: Query) -> dict[str, Any]:
    where: dict[str, Any] = {
        path: {"$in": list(value)} if isinstance(value, tuple) else value for path, value in query.where.items()
    }
    if query.between is not None:
        path, low, high = query.between
        where[path] = {"$gte": low, "$lt": high}
    if query.after is not None:
        where |= _behind(query.order, query.after)
    return where


def _behind(order: Sequence[tuple[str, int]], after: tuple[Any, Any]) -> dict[str, Any]:
    """Documents behind `after` in an order of two fields of one direction: the row comparison that MongoDB lacks.

    The range on the first field looks redundant, but without it the engine reads the index from its beginning.
    """
    (first, sign), (second, _) = order
    beyond, value = ("$gt" if sign > 0 else "$lt"), after[0]
    return {
        first: {f"{beyond}e": value},
        "$or": [{first: {beyond: value}}, {first: value, second: {beyond: after[1]}}],
    }


def stages_of(plan: Mapping[str, Any]) -> Iterator[str]:
    yield plan.get("stage", "")
    if plan.get("blockingSort"):  # how the gateway of our tests reports a sort
        yield "SORT"
    for child in [plan.get("inputStage"), plan.get("queryPlan"), *plan.get("inputStages", [])]:
        if isinstance(child, Mapping):
            yield from stages_of(child)
