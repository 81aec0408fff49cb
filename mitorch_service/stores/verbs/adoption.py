"""Verbs of documents that other programs have inserted: finding them, and taking them over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from mitorch_service.errors import BrokenDocument, NewerDocument
from mitorch_service.models.base import DAMAGED
from mitorch_service.models.schema_versions import SCHEMA, VERSIONS, is_known, known_versions
from mitorch_service.models.status import JobStatus, TrainingStatus
from mitorch_service.stores.primitives import Verbs
from mitorch_service.stores.requests import Collection, Query, StoredDocument
from mitorch_service.stores.verbs.trainings import Kind

_COLLECTIONS: Mapping[Kind, Collection] = {"training": "trainings", "job": "jobs"}
_SHOWN = 60
_OPEN = (TrainingStatus.NEW.value, None)
_NEWEST: tuple[tuple[str, Literal[1, -1]], ...] = (("arrival", -1), ("_id", -1))


class AdoptionVerbs(Verbs):
    """Finds what no program of ours has inserted: it is new, or has no status, and has no arrival."""

    def foreign_documents(self, kind: Kind, limit: int) -> list[StoredDocument]:
        """Returns some of them as they are stored, by an index that leads to nothing else. Damaged ones are left to
        what sets these aside."""
        order = _NEWEST if kind == "training" else ()
        query = Query(_COLLECTIONS[kind], {"status": _OPEN, "arrival": None}, order=order, limit=limit)
        return [found for found in self._database.find(query) if _is_adopted(kind, found)]

    def strangers(self, kind: Kind, limit: int) -> list[BrokenDocument]:
        """Returns those that no pass adopts: another program has inserted them with a status that is not `new`. They
        stay as they are, as a status that is none of ours may be one of a newer version. By an index that leads to
        nothing else."""
        query = Query(_COLLECTIONS[kind], {"arrival": None}, order=_NEWEST, limit=limit)
        found = [one for one in self._database.find(query) if not _is_adopted(kind, one) and DAMAGED not in one]
        return [_left_alone(kind, one) for one in found]

    def adopt(self, kind: Kind, found: StoredDocument, document: StoredDocument) -> bool:
        """Puts a document of ours in the place of a foreign one, whose other fields stay. False if another pass was
        faster, or whoever inserted it has taken it away or changed its status."""
        expect = {"status": (found.get("status"),), "arrival": (None,), SCHEMA: known_versions(_COLLECTIONS[kind])}
        return self._database.adopt(_COLLECTIONS[kind], found["_id"], expect, document)


def _is_adopted(kind: Kind, found: StoredDocument) -> bool:
    return found.get("status") in _OPEN and DAMAGED not in found and is_known(_COLLECTIONS[kind], found)


def _left_alone(kind: Kind, found: StoredDocument) -> BrokenDocument:
    if not is_known(_COLLECTIONS[kind], found):
        return NewerDocument(kind, found["_id"], found[SCHEMA], VERSIONS[_COLLECTIONS[kind]])
    return BrokenDocument(kind, found["_id"], _reason(kind, found.get("status")))


def _reason(kind: Kind, status: object) -> str:
    known = [one.value for one in (TrainingStatus if kind == "training" else JobStatus)]
    if status in known:
        return f"another program inserted it as {status}, and what has begun or ended elsewhere is not adopted"
    return (
        f"its status {str(status)[:_SHOWN]!r} is none of {', '.join(known)}; it is left as it is. If another program "
        "inserted it, set its status to new there, and the next pass adopts it; if a newer version of MiTorch wrote it"
        ", update this one"
    )
