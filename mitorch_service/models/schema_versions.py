"""The versions of stored documents' forms: which one each collection has now, and how older ones become it.

A document says its version in the field `schema`; one without it is of version 1. Nothing but this module knows what
differs between versions. To change a form: raise the collection's number, and add the step that leads to it. A step
gets a document of the version before, of which `config` and other fields may not have been read, and which may be
damaged: it leaves alone what is not as it expects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mitorch_service.models.fair_share.share import shares_of
from mitorch_service.models.status import ACTIVE, ENDED, TrainingStatus

SCHEMA = "schema"
_FIRST = 1  # of documents without the field
# The other collections have none: their documents are small, and live shortly or are written whole.
VERSIONS: Mapping[str, int] = {"trainings": 2, "jobs": 1, "datasets": 1}
COLLECTION_OF = {"training": "trainings", "job": "jobs", "data set": "datasets"}  # by what people call a document

_Fields = dict[str, Any]


def is_known(collection: str, document: Mapping[str, Any]) -> bool:
    """Whether this program knows the form of a document; one that it does not know it leaves as it is."""
    return collection not in VERSIONS or document.get(SCHEMA) in known_versions(collection)


def known_versions(collection: str) -> tuple[int | None, ...]:
    """Returns the values that the field may have."""
    return (None, *range(_FIRST, VERSIONS[collection] + 1))


def current_versions(collection: str) -> tuple[int | None, ...]:
    """Returns the values of documents that have today's form."""
    return (None, _FIRST) if VERSIONS[collection] == _FIRST else (VERSIONS[collection],)


def older_versions(collection: str) -> tuple[int | None, ...]:
    """Returns the values of documents that have an earlier form; empty if there has been none."""
    if VERSIONS.get(collection, _FIRST) == _FIRST:
        return ()
    return (None, *range(_FIRST, VERSIONS[collection]))


def upgraded(collection: str, document: Mapping[str, Any]) -> _Fields:
    """Returns a copy in today's form, of the version that it then says. One of a form that is not known stays as it
    is."""
    fields = dict(document)
    if document.get(SCHEMA) in older_versions(collection):
        for version in range(int(document.get(SCHEMA) or _FIRST), VERSIONS[collection]):
            fields = _STEPS[collection, version + 1](fields)
        fields[SCHEMA] = VERSIONS[collection]
    return fields


def upgraded_for(collection: str, document: Mapping[str, Any], status: object) -> _Fields:
    """`upgraded`, for a change after which the document has this status (None: the same as before). What stays with a
    run keeps its form: the run may be of the version that wrote it, and would not know another one."""
    before = document.get("status")
    stays = before in ACTIVE and (status is None or status in ACTIVE)
    return dict(document) if stays else upgraded(collection, document)


def read_old_pause(fields: object) -> object:
    """Up to version 0.1 a paused trial was stored as pruned, with the epoch after which it paused."""
    if not isinstance(fields, Mapping) or fields.get("status") != TrainingStatus.PRUNED:
        return fields
    trial, times = fields.get("trial"), fields.get("status_times")
    if not isinstance(trial, Mapping) or trial.get("pause_at", trial.get("until")) is None:
        return fields
    if isinstance(times, Mapping) and "pruned" in times:
        times = {"paused": times["pruned"]} | {status: at for status, at in times.items() if status != "pruned"}
    return {**fields, "status": TrainingStatus.PAUSED.value, "status_times": times}


def _training_2(document: _Fields) -> _Fields:
    """Paused trials are `paused`, and pause at `pause_at`; the time of the end and the shares stand apart."""
    read = read_old_pause(document)
    fields: _Fields = dict(read) if isinstance(read, Mapping) else document
    trial, times, status = fields.get("trial"), fields.get("status_times"), fields.get("status")
    if isinstance(trial, Mapping) and "until" in trial:
        renamed = {name: value for name, value in trial.items() if name != "until"}
        fields["trial"] = {**renamed, "pause_at": trial.get("pause_at", trial["until"])}
    if status in ENDED and isinstance(times, Mapping) and times.get(status) is not None:
        fields.setdefault("ended_at", times[status])
    fields.setdefault("shares", _shares(fields.get("tags"), fields.get("submitted_by")))
    return fields


def _shares(tags: object, submitted_by: object) -> dict[str, str]:
    texts: Sequence[str] = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    return shares_of(texts, submitted_by if isinstance(submitted_by, str) else None)


_STEPS: Mapping[tuple[str, int], Callable[[_Fields], _Fields]] = {("trainings", 2): _training_2}
