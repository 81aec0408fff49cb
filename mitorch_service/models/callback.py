"""The document of a callback: where the program that asked for a training wants its status and its model."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar

from pydantic import Field

from mitorch_service.models.base import Document, UtcTime
from mitorch_service.models.notification import to_milliseconds

KEEP_TRYING_FOR = timedelta(days=30)  # after the training's end


class Callback(Document):
    """A document of the collection `callbacks`, from before its training is queued until all was delivered."""

    stored_as: ClassVar[str] = "callback"

    id: str  # the training's
    source: str  # the queue and the message, for people
    rejected: str | None = None  # why the message became no training
    status_url: str | None = Field(None, repr=False)  # may contain a SAS token
    model_url: str | None = Field(None, repr=False)  # likewise
    created_at: UtcTime
    due: int  # milliseconds since 1970 from which on it is looked at; in the future while a process has its lease
    posted_epoch: int = 0  # the last whose end was posted
    posted_step: int = 0  # of the epoch behind it
    model_stored: bool = False
    final_posted: bool = False  # whether the end was posted
    tries: int = 0  # refusals in a row
    problem: str | None = None  # the last refusal
    failing_since: UtcTime | None = None  # the first of these refusals, once the training has ended

    def is_over(self, at: datetime) -> bool:
        """Whether what is not delivered yet is given up."""
        return self.failing_since is not None and at - self.failing_since >= KEEP_TRYING_FOR


def due_at(at: datetime) -> int:
    """The `due` of a time."""
    return to_milliseconds(at)
