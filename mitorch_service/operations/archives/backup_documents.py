"""Documents of a backup as lines of JSON, with the types that JSON lacks; the same whichever engine stored them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from mitorch_service.errors import BrokenDocument
from mitorch_service.models.base import Document
from mitorch_service.models.callback import Callback
from mitorch_service.models.dataset import Dataset
from mitorch_service.models.notification import Notification
from mitorch_service.models.result import EpochResult
from mitorch_service.models.search.job import Job
from mitorch_service.models.training import Training
from mitorch_service.operations.archives.typed_documents import typed
from mitorch_service.stores.requests import Collection, StoredDocument

# SQLite has texts for times, which their model makes times again. What is in no model is kept as it is stored.
_MODELS: Mapping[Collection, type[Document]] = {
    "trainings": Training,
    "jobs": Job,
    "datasets": Dataset,
    "training_results": EpochResult,
    "notifications": Notification,
    "callbacks": Callback,
}
_TIME, _NUMBER, _OBJECT, _TEXT = "$date", "$number", "$object", "$text"
_MARKS = {_TIME, _NUMBER, _OBJECT, _TEXT}


def to_line(collection: Collection, stored: StoredDocument) -> bytes:
    """Returns a line of UTF-8: times as `{"$date": …}`, numbers that are not finite as `{"$number": …}`, values of
    types that none of ours has as `{"$text": …}`."""
    document = stored
    if model := _MODELS.get(collection):
        with suppress(BrokenDocument):  # kept as it is found: damaged here, damaged there
            document = typed(model.from_document(stored), stored)
    return json.dumps(_plain(document), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def from_line(line: bytes) -> StoredDocument:
    """Parses a line. Raises ValueError for what is none."""
    document = _values(json.loads(line))
    if not isinstance(document, dict) or "_id" not in document:
        raise ValueError("it is no document with an _id")
    if not isinstance(document["_id"], str | int | float) or isinstance(document["_id"], bool):
        raise ValueError("its _id is neither a text nor a number")
    return document


def _plain(value: object) -> object:
    if isinstance(value, dict):
        plain = {str(name): _plain(item) for name, item in value.items()}
        return {_OBJECT: plain} if len(plain) == 1 and _MARKS & plain.keys() else plain
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return {_TIME: value.isoformat(timespec="milliseconds")}
    if isinstance(value, float) and not math.isfinite(value):
        return {_NUMBER: str(value)}
    if type(value) in (str, int, float, bool) or value is None:
        return value
    if isinstance(value, str | int | float):  # an enum, or a number of BSON's
        return json.loads(json.dumps(value))
    return {_TEXT: str(value)}


def _values(value: Any) -> Any:
    if isinstance(value, list):
        return [_values(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        [(mark, inner)] = value.items()
        if mark == _OBJECT:
            return {name: _values(item) for name, item in inner.items()}
        if mark == _TIME:
            return datetime.fromisoformat(inner)
        if mark == _NUMBER:
            return float(inner)
        if mark == _TEXT:
            return str(inner)
    return {name: _values(item) for name, item in value.items()}
