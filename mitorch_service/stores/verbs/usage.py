"""Verbs of what users or teams have used."""

from __future__ import annotations

from mitorch_service.errors import BrokenDocument
from mitorch_service.models.fair_share.share import By
from mitorch_service.models.fair_share.usage import Usage, usage_id
from mitorch_service.stores.primitives import Verbs
from mitorch_service.stores.requests import Guarded


class UsageVerbs(Verbs):
    """Reads and replaces the use by users, or by teams."""

    def read_usage(self, by: By) -> Usage | None:
        """Returns the use; None before the first, or if its document is damaged, which the next change replaces."""
        try:
            return self._database.read_one(Usage, "controllers", usage_id(by))
        except BrokenDocument:
            return None

    def replace_usage(self, before: Usage | None, after: Usage) -> bool:
        """Stores the use in the place of what was read (`before`), unless somebody has changed it since: then returns
        False."""
        document = after.model_copy(update={"version": 1 if before is None else before.version + 1}).to_document()
        if before is None:
            if self._database.insert("controllers", [document]):
                return True
            if self._is_whole(after.id):
                return False
            self._database.replace("controllers", document)
            return True
        id = document.pop("_id")
        change = Guarded("controllers", id, {"version": (before.version,)}, document)
        return self._database.change(change) is not None

    def _is_whole(self, id: str) -> bool:
        """Whether a document with this id can be read."""
        try:
            return self._database.read_one(Usage, "controllers", id) is not None
        except BrokenDocument:
            return False
