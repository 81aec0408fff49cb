"""What the base class of the stores asks of its two leaves: one query form that both can serve by an index."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Collection = Literal["trainings", "jobs", "datasets", "training_results", "rungs"]


@dataclass(frozen=True)
class Query:
    """Documents of one collection, filtered and ordered. Field paths are dotted."""

    collection: Collection
    where: Mapping[str, Any] = field(default_factory=dict)  # path -> value; a tuple means one of its values
    between: tuple[str, Any, Any] | None = None  # (path, low, high): low <= value < high
    order: tuple[tuple[str, Literal[1, -1]], ...] = ()
    after: tuple[Any, Any] | None = None  # values of the order's two fields: continue behind that document
    limit: int | None = None
    without: tuple[str, ...] = ()  # top-level fields not to fetch


@dataclass(frozen=True)
class Guarded:
    """A change of one document, made only if each guarded field still has one of the expected values.

    A missing field counts as None. Guards are top-level fields (MongoDB reads ``list.0.x`` in two ways at once, so a
    guard within a list would hold too easily); what is set may be dotted, a number stepping into a list, where setting
    the element behind the last appends it.
    """

    collection: Collection
    id: Any  # a GUID in text form, but for a document that somebody wrote by hand
    expect: Mapping[str, tuple[Any, ...]]  # top-level field -> its expected values
    set: Mapping[str, Any]


@dataclass(frozen=True)
class QueryPlan:
    """How the engine would run a query."""

    uses_index: bool  # no step reads a whole collection
    sorts: bool  # some step sorts what it has read
    text: str
