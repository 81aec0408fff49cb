"""Requests to a database and their answers, in a form that both engines serve by an index."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Literal, TypeVar

from mitorch_service.errors import BrokenDocument
from mitorch_service.models.base import Document

Model = TypeVar("Model", bound=Document)

StoredDocument = dict[str, Any]  # plain values as the driver returns them, until a model has checked them
Collection = Literal[
    "trainings",
    "jobs",
    "datasets",
    "training_results",
    "rungs",
    "controllers",
    "notifications",
    "callbacks",
    "views",
]
ANY_ARRIVAL = (-(2**63), 2**63 - 1)  # a range of `arrival`, which leaves out what is no number


@dataclass(frozen=True)
class Query:
    """Documents of one collection, filtered and ordered. Field paths are dotted."""

    collection: Collection
    where: Mapping[str, object] = field(default_factory=dict)  # path -> value; a tuple means one of its values
    between: tuple[str, object, object] | None = None  # (path, low, high): low <= value < high
    order: tuple[tuple[str, Literal[1, -1]], ...] = ()
    after: tuple[object, ...] | None = None  # values of the order's fields: continue behind that document
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
    id: object  # a GUID in text form, but for a document that somebody wrote by hand
    expect: Mapping[str, tuple[object, ...]]  # top-level field -> its expected values
    set: Mapping[str, object]
    sets_status: ClassVar[bool] = False  # see stores/transitions.py

    def __post_init__(self) -> None:
        if "status" in self.set and not self.sets_status:
            raise ValueError("a status is set by the changes of stores/transitions.py only")


@dataclass(frozen=True)
class Listing(Generic[Model]):
    """Documents read, and those that could not be: one broken document never hides the others."""

    items: list[Model] = field(default_factory=list)
    broken: list[BrokenDocument] = field(default_factory=list)


@dataclass(frozen=True)
class QueryPlan:
    """How the engine would run a query."""

    uses_index: bool  # no step reads a whole collection
    sorts: bool  # some step sorts what it has read
    text: str


@dataclass(frozen=True)
class Removal:
    """A document to delete if its guard holds, and the records of another collection that belong to it."""

    collection: Collection
    id: str
    expect: Mapping[str, tuple[object, ...]]
    records: tuple[Collection, str, str]  # (collection, low, high): low <= `_id` < high

    @property
    def status(self) -> str:
        """The only status in which the document is deleted."""
        return str(self.expect["status"][0])


@dataclass(frozen=True)
class Compaction:
    """The result of giving back the space of deleted documents."""

    freed: int  # bytes that the file system has back
    note: str | None = None  # why it is not all
