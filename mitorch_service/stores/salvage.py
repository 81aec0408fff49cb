"""Documents whose stored text is none: cut off, not UTF-8, or no object. What can be read of them, and what is lost."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic_core import from_json

from mitorch_service.models.base import DAMAGED
from mitorch_service.stores.document_paths import from_text, set_at, value_at
from mitorch_service.stores.requests import StoredDocument

_KEPT = 100_000  # characters of the damaged text


def parse_document(id: object, body: bytes, apart: bytes | None = None, name: str | None = None) -> StoredDocument:
    """Returns the document whose field `name` is stored apart. Raises ValueError if a text is no JSON, or the body no
    object."""
    document = from_text(body)
    if not isinstance(document, dict):
        raise ValueError(f"a {type(document).__name__} in the place of an object")
    document["_id"] = id
    if apart is not None and name is not None:
        document[name] = from_text(apart)
    return document


def check_status(document: StoredDocument, columns: Mapping[str, object]) -> None:
    """Raises ValueError if the document has another status than the column by which it is found."""
    if "status" in columns and document.get("status") != columns["status"]:
        raise ValueError(f"it says {document.get('status')!r} where the index says {columns['status']!r}")


def salvage_document(
    id: object, body: bytes, apart: bytes | None, name: str | None, columns: Mapping[str, object], reason: str
) -> StoredDocument:
    """Returns what can be read of a document that `parse_document` refuses for this `reason`: the beginning of its
    text, then the values of its columns (by dotted path). It is marked as DAMAGED, so that no model takes it."""
    kept = _beginning(body)
    document: StoredDocument = {"_id": id, **(kept if isinstance(kept, dict) else {})}
    document["_id"] = id
    for path, value in columns.items():
        if value is not None and value_at(document, path) != value:
            try:
                set_at(document, path, value)
            except (ValueError, TypeError):  # a step of the path leads into something else
                continue
    if apart is not None and name is not None and (config := _beginning(apart)) is not None:
        document[name] = config
    text = body[:_KEPT].decode("utf-8", "replace")
    document[DAMAGED] = {"reason": f"its stored text is damaged ({reason})", "text": text}
    return document


def _beginning(text: bytes) -> object:
    """The value of a JSON text as far as it goes; None if it is none from the start."""
    try:
        return from_json(text, allow_partial=True)
    except ValueError:
        return None
