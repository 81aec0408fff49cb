"""The fields of a training by which tables filter and sort, and which they show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any

from mitorch_service.insights.where.document_values import (
    config_of,
    current_attempt,
    keyed_value,
    last_measure_of,
    measure_of,
    number_of,
    parameters_of,
    text_of,
    texts_of,
    time_of,
)
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.stores.document_paths import value_at
from mitorch_service.stores.requests import StoredDocument

Read = Callable[[StoredDocument, datetime], object]


class Kind(StrEnum):
    """The values of a field, and how they are compared."""

    ID = "id"  # fits by its beginning
    STATUS = "status"
    JOB = "job"  # by id, beginning of an id, or name
    DATASET = "dataset"  # NAME or NAME:VERSION
    TAG = "tag"  # KEY=VALUE, or KEY
    TEXT = "text"  # equal, with regard to case
    WORDS = "words"  # a part fits, without regard to case
    NUMBER = "number"
    TIME = "time"
    ANY = "any"  # of a config: text, number, true or false


@dataclass(frozen=True)
class Field:
    """A field that a filter, a sort or a column names."""

    name: str
    kind: Kind
    read: Read  # its value in a stored document at a time; None: it has none
    needs: frozenset[str] = frozenset()  # top-level fields of the document, beyond those that every row has
    curve: str | None = None  # the measure, where the recorded epochs must be read
    fold: str | None = None  # best, min or max of the curve


CURVE_FOLDS = ("best", "min", "max")
FAMILIES = ("config", "metric", "last", "param", "tag", *CURVE_FOLDS)  # that are followed by a name of the user's own
ALIASES = {
    "epochs": "epoch",
    "tags": "tag",
    "data": "dataset",
    "user": "by",
    "submitted_by": "by",
    "objective": "value",
}
BULK = ("config", "error", "attempts", "artifacts")  # top-level fields that are read only where they are needed
LOSSES = ("val_loss", "train_loss")


def _stored(path: str, convert: Callable[[object], object]) -> Read:
    return lambda document, now: convert(value_at(document, path))


def _entered(*statuses: str) -> Read:
    """When it last entered one of the statuses in which it is now or was."""

    def read(document: StoredDocument, now: datetime) -> datetime | None:
        times = document.get("status_times")
        found = [time_of(times.get(status)) for status in statuses] if isinstance(times, Mapping) else []
        return max(filter(None, found), default=None)

    return read


def _ended(document: StoredDocument, now: datetime) -> datetime | None:
    return time_of(document.get("ended_at"))


def _since(document: StoredDocument, now: datetime) -> datetime | None:
    times = document.get("status_times")
    found = time_of(times.get(document.get("status"))) if isinstance(times, Mapping) else None
    return found or time_of(document.get("created_at"))


def _dataset(document: StoredDocument, now: datetime) -> str | None:
    ref = document.get("dataset")
    name = ref.get("name") if isinstance(ref, Mapping) else None
    if not isinstance(ref, Mapping) or not isinstance(name, str):
        return None
    version = ref.get("version")
    return str(DatasetRef(name=name, version=version if isinstance(version, int) else None))


def _error(document: StoredDocument, now: datetime) -> str | None:
    kind, message = text_of(value_at(document, "error.type")), text_of(value_at(document, "error.message"))
    return mask_secrets(f"{kind}: {message}" if kind and message else message or kind or "") or None


def _epoch(document: StoredDocument, now: datetime) -> float | int:
    return number_of(value_at(document, "progress.epoch")) or 0


def _cost(part: str, document: StoredDocument, now: datetime) -> float | None:
    """Node hours or cost of all attempts; None where an attempt cannot be read."""
    from pydantic import ValidationError

    from mitorch_service.controller.observe.cost import training_cost
    from mitorch_service.models.training import Attempt

    attempts = document.get("attempts")
    if not isinstance(attempts, list) or not attempts:
        return None
    try:
        found: float = getattr(training_cost(map(Attempt.model_validate, attempts), now), part)
    except ValidationError:
        return None
    return found


def _duration(document: StoredDocument, now: datetime) -> float | None:
    """Seconds from its first start to its end, or until now."""
    attempts = document.get("attempts")
    starts = [time_of(one.get("started_at")) for one in attempts if isinstance(one, Mapping)] if attempts else []
    start = min(filter(None, starts), default=None)
    end = _ended(document, now) or now
    return None if start is None else max(end - start, timedelta()) / timedelta(seconds=1)


def _fields() -> Iterable[Field]:
    attempts, error = frozenset({"attempts"}), frozenset({"error"})
    yield Field("id", Kind.ID, _stored("_id", text_of))
    yield Field("status", Kind.STATUS, _stored("status", text_of))
    yield Field("name", Kind.TEXT, _stored("name", text_of))
    yield Field("job", Kind.JOB, _stored("job_id", text_of))
    yield Field("dataset", Kind.DATASET, _dataset)
    yield Field("tag", Kind.TAG, _stored("tags", texts_of))
    yield Field("by", Kind.TEXT, _stored("submitted_by", text_of))
    yield Field("note", Kind.WORDS, _stored("user_note", text_of))
    yield Field("error", Kind.WORDS, _error, error)
    yield Field("cluster", Kind.TEXT, lambda d, now: text_of(current_attempt(d).get("cluster")), attempts)
    yield Field("outcome", Kind.TEXT, lambda d, now: text_of(current_attempt(d).get("outcome")), attempts)
    yield Field("reason", Kind.WORDS, lambda d, now: text_of(current_attempt(d).get("reason")), attempts)
    yield Field("priority", Kind.NUMBER, _stored("priority", number_of))
    yield Field("epoch", Kind.NUMBER, _epoch)
    yield Field("max_epochs", Kind.NUMBER, _stored("max_epochs", number_of))
    yield Field("attempts", Kind.NUMBER, _stored("attempt", number_of))
    yield Field("trial", Kind.NUMBER, _stored("trial.number", number_of))
    yield Field("value", Kind.NUMBER, _stored("trial.value", number_of))
    yield Field("cost", Kind.NUMBER, partial(_cost, "cost"), attempts)
    yield Field("node_hours", Kind.NUMBER, partial(_cost, "node_hours"), attempts)
    yield Field("duration", Kind.NUMBER, _duration, attempts)
    yield Field("created", Kind.TIME, _stored("created_at", time_of))
    yield Field("started", Kind.TIME, _entered("running"))
    yield Field("ended", Kind.TIME, _ended)
    yield Field("since", Kind.TIME, _since)


FIELDS: Mapping[str, Field] = {field.name: field for field in _fields()}


def family_field(family: str, name: str) -> Field:
    """The field `name` of a family, such as ``config`` and ``optimizer.name``."""
    whole = f"{family}.{name}"
    if family == "config":
        return Field(whole, Kind.ANY, lambda d, now: value_at(config_of(d), name), frozenset({"config"}))
    if family == "param":
        return Field(whole, Kind.ANY, lambda d, now: keyed_value(parameters_of(d), name))
    if family == "tag":
        return Field(whole, Kind.ANY, lambda d, now: _tag_value(d, name))
    if family == "last":
        return Field(whole, Kind.NUMBER, lambda d, now: last_measure_of(d, name))
    if family in CURVE_FOLDS:
        return Field(whole, Kind.NUMBER, partial(_folded, whole), curve=name, fold=family)
    return Field(whole, Kind.NUMBER, lambda d, now: measure_of(d, name))


def _tag_value(document: Mapping[str, Any], key: str) -> str | None:
    found = (tag.partition("=") for tag in texts_of(document.get("tags")))
    return next((value for name, _, value in found if name == key), None)


def _folded(name: str, document: StoredDocument, now: datetime) -> object:
    """The value that was put beside the document when its curve was read."""
    folds = document.get(FOLDS)
    return folds.get(name) if isinstance(folds, Mapping) else None


FOLDS = " curves"  # no stored field has a blank
