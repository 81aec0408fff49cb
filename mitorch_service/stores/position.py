"""Where a training stands in the queue."""

from __future__ import annotations

from mitorch_service.models.training import TrainingRow
from mitorch_service.stores.primitives import Primitives
from mitorch_service.stores.query import Query

_BELOW_ALL = -(2**63)


def count_ahead(store: Primitives, training: TrainingRow) -> int:
    """How many new trainings are served before it, of those that arrived in another microsecond. Two counts by the
    queue's index: their time grows with the answer."""
    urgent = Query("trainings", {"status": "new"}, between=("priority", _BELOW_ALL, training.priority))
    same = {"status": "new", "priority": training.priority}
    return store.count(urgent) + store.count(
        Query("trainings", same, between=("arrival", _BELOW_ALL, training.arrival))
    )
