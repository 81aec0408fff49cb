"""Verbs of saved views: names for queries, which everybody who uses the database sees."""

from __future__ import annotations

from mitorch_service.errors import NotFound
from mitorch_service.models.saved_view import SavedView
from mitorch_service.stores.primitives import Verbs
from mitorch_service.stores.requests import Listing, Query

MAX_VIEWS = 1000
_REMEDY = "List what there is with miquery --views."


class ViewVerbs(Verbs):
    """Saves, reads and removes views."""

    def save_view(self, view: SavedView) -> None:
        """Stores a view in the place of one with its name."""
        self._database.replace("views", view.to_document())

    def get_view(self, name: str) -> SavedView:
        """Returns the view. Raises NotFound, BrokenDocument."""
        view = self._database.read_one(SavedView, "views", name)
        if view is None:
            raise NotFound("view", name, _REMEDY)
        return view

    def list_views(self) -> Listing[SavedView]:
        """Returns the views by name, at most MAX_VIEWS."""
        every = ("_id", "", "\U0010ffff")
        return self._database.read(SavedView, Query("views", between=every, order=(("_id", 1),), limit=MAX_VIEWS))

    def remove_view(self, name: str) -> None:
        """Deletes the view. Raises NotFound."""
        if not self._database.remove("views", name, {}):
            raise NotFound("view", name, _REMEDY)
