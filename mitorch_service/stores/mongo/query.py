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
        behind = _behind(query.order, query.after)
        first = query.order[0][0]
        within = where.get(first) if query.between is not None and query.between[0] == first else None
        where |= behind
        if within is not None:
            where[first] = within | behind[first]
    return where


def _behind(order: Sequence[tuple[str, int]], after: Sequence[Any]) -> dict[str, Any]:
    """Documents behind `after` in an order of fields of one direction: the row comparison that MongoDB lacks.

    The range on the first field looks redundant, but without it the engine reads the index from its beginning.
    """
    paths, beyond = [path for path, _ in order], ("$gt" if order[0][1] > 0 else "$lt")
    if len(paths) == 1:
        return {paths[0]: {beyond: after[0]}}
    ways = [{**dict(zip(paths[:n], after[:n], strict=True)), paths[n]: {beyond: after[n]}} for n in range(len(paths))]
    return {paths[0]: {f"{beyond}e": after[0]}, "$or": ways}


def stages_of(plan: Mapping[str, Any]) -> Iterator[str]:
    yield plan.get("stage", "")
    if plan.get("blockingSort"):  # how the gateway of our tests reports a sort
        yield "SORT"
    for child in [plan.get("inputStage"), plan.get("queryPlan"), *plan.get("inputStages", [])]:
        if isinstance(child, Mapping):
            yield from stages_of(child)
