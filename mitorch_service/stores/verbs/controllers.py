"""Verbs of the controllers' heartbeat."""

from __future__ import annotations

from mitorch_service.errors import BrokenDocument
from mitorch_service.models.heartbeat import HEARTBEAT_ID, Heartbeat
from mitorch_service.stores.primitives import Verbs


class ControllerVerbs(Verbs):
    """Records and reads the last pass of any controller."""

    def record_pass(self, heartbeat: Heartbeat) -> None:
        """Stores the pass in the place of the one before; of passes that overlap, the last to end."""
        self._database.replace("controllers", heartbeat.to_document())

    def last_pass(self) -> Heartbeat | None:
        """Returns the last pass; None before the first, or if its document is damaged, which the next pass replaces."""
        try:
            return self._database.read_one(Heartbeat, "controllers", HEARTBEAT_ID)
        except BrokenDocument:
            return None
