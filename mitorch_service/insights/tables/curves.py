"""Values of whole curves: the best, least and greatest of a measure over all recorded epochs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mitorch_service.insights.where.document_values import keyed_value, number_of
from mitorch_service.insights.where.fields import FOLDS, LOSSES, Field
from mitorch_service.models.search.objectives import usual_direction
from mitorch_service.stores.base import Store
from mitorch_service.stores.requests import StoredDocument


def add_curves(store: Store, document: StoredDocument, fields: Sequence[Field]) -> None:
    """Puts the values of those fields that are folds of curves beside the document; reads the curve once."""
    wanted = [field for field in fields if field.curve is not None]
    folds = document.setdefault(FOLDS, {}) if wanted else {}
    missing = [field for field in wanted if field.name not in folds]
    if not missing:
        return
    records = list(store.runs.curve_records(document["_id"]))
    for field in missing:
        folds[field.name] = _fold(field, records)


def _fold(field: Field, records: Iterable[Mapping[str, Any]]) -> float | int | None:
    assert field.curve is not None
    found = (_measure(record, field.curve) for record in records)
    values = [value for value in found if value is not None and math.isfinite(value)]
    folds: Mapping[str, Callable[[list[float | int]], float | int]] = {"min": min, "max": max}
    least = usual_direction(field.curve) == "minimize"
    fold = folds["min" if least else "max"] if field.fold == "best" else folds[field.fold or ""]
    return fold(values) if values else None


def _measure(record: Mapping[str, Any], name: str) -> float | int | None:
    if name in (*LOSSES, "learning_rate", "epoch_seconds", "samples_per_second"):
        return number_of(record.get(name))
    return number_of(keyed_value(record.get("metrics"), name))
