"""Reads what ended last, by an index."""

from __future__ import annotations

from contextlib import suppress

from mitorch_service.errors import BrokenDocument
from mitorch_service.models.training import TrainingRow
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.tables import IndexOrder, IndexRange

RECORDED = 300  # trainings that ended last, whose durations are used


def read_ended(store: Store, limit: int) -> list[TrainingRow]:
    """The trainings that ended last, the last one first; those that cannot be read are left out."""
    rows = []
    for document in store.tables.rows(IndexRange(IndexOrder.ENDED), True, limit, without=("config", "error")):
        with suppress(BrokenDocument):
            rows.append(TrainingRow.from_document(document))
    return rows
