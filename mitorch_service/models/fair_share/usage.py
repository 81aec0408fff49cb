"""The use of the clusters by each user or team, halved again and again as it grows old. Pure."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import ClassVar

from pydantic import Field

from mitorch_service.models.base import Document, UtcTime
from mitorch_service.models.fair_share.share import By

_HOUR = timedelta(hours=1)
_LEAST = 1e-3  # node hours that are still kept


def usage_id(by: By) -> str:
    """Returns the id of the document."""
    return f"usage:{by}"


class ShareUsage(Document):
    """The use of one share."""

    share: str
    node_hours: float = 0.0  # decayed until the document's time
    started_at: UtcTime | None = None  # when a training of it was last given nodes


class Usage(Document):
    """A document of the collection `controllers`: the use by users, or by teams, of attempts that have ended."""

    stored_as: ClassVar[str] = "usage"

    id: str
    at: UtcTime
    version: int = 0  # of the document, which a change is guarded by
    shares: list[ShareUsage] = Field(default_factory=list)
    open: list[str] = Field(default_factory=list)  # run names of the attempts to be counted when they have ended

    def decayed(self, at: datetime, half_life: float) -> dict[str, ShareUsage]:
        """Returns the use at a later time, without what has nearly vanished. `half_life`: hours."""
        if at == self.at:
            return {one.share: one for one in self.shares}
        factor = 0.5 ** (max(0.0, (at - self.at) / _HOUR) / half_life)
        aged = (one.model_copy(update={"node_hours": one.node_hours * factor}) for one in self.shares)
        recent = timedelta(hours=30 * half_life)
        return {
            one.share: one
            for one in aged
            if one.node_hours >= _LEAST or (one.started_at is not None and at - one.started_at < recent)
        }


def decayed_hours(begin: datetime, end: datetime, at: datetime, half_life: float) -> float:
    """Returns the hours from `begin` to `end` as they count at `at`, each halved with every `half_life` hours since:
    the integral of 2^(-(at - t) / half_life), so that it does not matter when it is computed."""
    length, age = max(0.0, (end - begin) / _HOUR), max(0.0, (at - end) / _HOUR)
    scale = half_life / math.log(2)
    return float(scale * -math.expm1(-length / scale) * 0.5 ** (age / half_life))
