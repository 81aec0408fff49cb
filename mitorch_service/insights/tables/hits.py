"""Trainings that an index finds by a bare word, while all others are still to be looked at."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mitorch_service.insights.where.terms import PatternTerm, Where
from mitorch_service.stores.base import Store
from mitorch_service.stores.requests import StoredDocument
from mitorch_service.stores.verbs.tables import IndexOrder, IndexRange

_MOST = 20  # of each word and index
_LEAST_ID = 4  # characters


def find_hits(store: Store, where: Where, without: tuple[str, ...]) -> dict[str, StoredDocument]:
    """The trainings whose id begins with a bare word, or whose name or tag it is."""
    found: dict[str, StoredDocument] = {}
    for one in _ranges(where):
        for document in store.tables.rows(one, True, _MOST, without=without):
            if isinstance(document["_id"], str):
                found.setdefault(document["_id"], document)
    return found


def _ranges(where: Where) -> Iterator[IndexRange]:
    for term in where.terms:
        if isinstance(term, PatternTerm) or term.field is not None or term.negated:
            continue
        for word in (value.text for value in term.values if value.is_exact):
            yield IndexRange(IndexOrder.ARRIVAL, "name", word)
            yield IndexRange(IndexOrder.ARRIVAL, "tags", word)
            if re.fullmatch(rf"[0-9a-f-]{{{_LEAST_ID},36}}", word.lower()):
                yield IndexRange(IndexOrder.ID, low=word.lower(), high=word.lower() + "g")
