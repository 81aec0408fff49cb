"""The refusal of documents whose form a newer version has made."""

from __future__ import annotations

from mitorch_service.errors import NewerDocument
from mitorch_service.models.schema_versions import SCHEMA, VERSIONS, is_known
from mitorch_service.stores.requests import Collection, StoredDocument


def check_known(kind: str, collection: Collection, document: StoredDocument) -> StoredDocument:
    """Returns the document. Raises NewerDocument if its form is not known here."""
    if is_known(collection, document):
        return document
    raise NewerDocument(kind, document.get("_id"), document[SCHEMA], VERSIONS[collection])
