"""Looks at the documents of a walk until the filter has let enough pass, or the time is over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from mitorch_service.errors import BrokenDocument
from mitorch_service.insights.tables.curves import add_curves
from mitorch_service.insights.tables.opening import Table
from mitorch_service.insights.tables.sorting import NEWEST_FIRST, Key
from mitorch_service.insights.tables.walk import Step
from mitorch_service.models.base import DAMAGED
from mitorch_service.models.training import TrainingRow
from mitorch_service.stores.requests import StoredDocument

_LOOKS = 64  # documents between two looks at the clock
_KEPT = 100  # damaged documents that are named


@dataclass
class Scan:
    """The reading of a walk: how far it came, and the documents that it had to set aside."""

    table: Table
    deadline: float
    bound: Key | None = None  # where to end, in the order of arrival
    scanned: int = 0
    out_of_time: bool = False
    last: Key | None = None  # the place of the last document that was looked at
    broken: dict[object, BrokenDocument] = field(default_factory=dict)

    def accepted(self, steps: Iterator[Step]) -> Iterator[Step]:
        """Yields what passes the filter; sets damaged documents aside."""
        table = self.table
        tests, fields = [one.accepts for one in table.plan.conditions], table.looked_at
        curves = [one for one in fields if one.curve is not None]
        for step in steps:
            self.scanned += 1
            if self.scanned % (1 if curves else _LOOKS) == 0 and table.clock() > self.deadline:
                self.out_of_time = True
                return
            self.last = step.key
            if DAMAGED in step.document:
                self.set_aside(step.document)
            elif step.belongs:
                if curves:
                    add_curves(table.store, step.document, curves)
                if all(test(step.document) for test in tests):
                    yield step
            if self.bound is not None and NEWEST_FIRST.key(step.document, table.now) == self.bound:
                return

    def set_aside(self, document: StoredDocument) -> None:
        """Notes a document that cannot be read."""
        key = document.get("_id")
        if key not in self.broken and len(self.broken) < _KEPT:
            self.broken[key] = broken_of(document)


def broken_of(document: StoredDocument) -> BrokenDocument:
    """The reason why a document cannot be read."""
    try:
        TrainingRow.from_document(document)
    except BrokenDocument as broken:
        return broken
    return BrokenDocument("training", document.get("_id", "?"), "it has no place in the order of arrival")
