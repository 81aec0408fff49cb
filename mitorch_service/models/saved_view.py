"""The stored document of a saved view: a name for a query."""

from __future__ import annotations

from typing import ClassVar

from mitorch_service.models.base import Document, UtcTime


class SavedView(Document):
    """A document of the collection `views`. Its id is its name."""

    stored_as: ClassVar[str] = "view"

    id: str
    query: str  # of the page's URL, such as where=status%3Afailed&sort=-ended
    saved_at: UtcTime
    saved_by: str | None = None
