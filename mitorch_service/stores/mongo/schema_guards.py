"""Guards by the version of a document's form, and the change of one of an earlier form."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from mitorch_service.models.schema_versions import SCHEMA, VERSIONS, current_versions, known_versions, upgraded_for
from mitorch_service.stores.document_paths import guard_holds, set_at
from mitorch_service.stores.mongo.query import guard
from mitorch_service.stores.requests import Guarded, StoredDocument

Expected = Mapping[str, tuple[Any, ...]]


@dataclass(frozen=True)
class Upgrading:
    """A change of a document of an earlier form, together with its upgrade."""

    where: dict[str, Any]  # what the update was made from is still there
    update: dict[str, Any]
    after: StoredDocument


def current(change: Guarded) -> Expected:
    """The guards of a change, and that the document has today's form."""
    if change.collection not in VERSIONS:
        return change.expect
    return {**change.expect, SCHEMA: current_versions(change.collection)}


def known(collection: str) -> Expected:
    """A guard against documents of a form that is not known here."""
    return {SCHEMA: known_versions(collection)} if collection in VERSIONS else {}


def upgrade_with(stored: StoredDocument, change: Guarded) -> Upgrading | None:
    """Returns the step that makes a change of a document of an earlier form and brings it up to date; None if a guard
    refuses. Raises ValueError if a damaged document cannot be changed so."""
    ready = upgraded_for(change.collection, stored, change.set.get("status"))
    if not guard_holds(ready, change.expect):
        return None
    after = deepcopy(ready)
    for path, value in change.set.items():
        set_at(after, path, value)
    upgrade = {name for name, value in ready.items() if name not in stored or stored[name] != value}
    changes = {path: value for path, value in change.set.items() if path.partition(".")[0] not in upgrade}
    read = {SCHEMA, *change.expect, *upgrade}
    where = guard(change.id, {name: (stored.get(name),) for name in read})
    return Upgrading(where, {"$set": {**changes, **{name: after[name] for name in upgrade}}}, after)
