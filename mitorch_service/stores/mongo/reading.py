"""Reads and counts the documents of a MongoDB database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bson.errors import BSONError
from pymongo import errors

from mitorch_service.models.status import TrainingStatus
from mitorch_service.stores.mongo.connection import MongoConnection
from mitorch_service.stores.mongo.query import conditions, stages_of
from mitorch_service.stores.requests import Collection, Query, QueryPlan

_SCANNED_AT_ONCE = 1000


class MongoReading:
    """The reads, none of which changes anything."""

    def __init__(self, connection: MongoConnection) -> None:
        self._connection = connection

    def find(self, query: Query) -> list[dict[str, Any]]:
        return self._connection.call(lambda: list(self._cursor(query)))

    def scan(self, collection: Collection) -> Iterator[dict[str, Any]]:
        try:
            yield from self._connection.db[collection].find(sort=[("_id", 1)], batch_size=_SCANNED_AT_ONCE)
        except (errors.PyMongoError, BSONError) as error:  # not repeated: a cursor that failed has lost its place
            raise self._connection.error_for(error) from error

    def count(self, query: Query) -> int:
        db = self._connection.db
        return self._connection.call(lambda: db[query.collection].count_documents(conditions(query)))

    def count_statuses_of(self, job_id: str) -> dict[str, int]:
        """Counts the trainings of one job, by status."""
        counts = {
            s.value: self.count(Query("trainings", {"job_id": job_id, "status": s.value})) for s in TrainingStatus
        }
        return {status: number for status, number in counts.items() if number}

    def explain(self, query: Query) -> QueryPlan:
        plan = self._connection.call(lambda: self._cursor(query).explain())
        text = str(plan)
        stages = set(stages_of(plan["queryPlanner"]["winningPlan"]))
        return QueryPlan(uses_index="COLLSCAN" not in stages, sorts="SORT" in stages, text=text)

    def _cursor(self, query: Query) -> Any:
        where = conditions(query)
        projection = dict.fromkeys(query.without, 0) or None
        cursor = self._connection.db[query.collection].find(where, projection)
        if query.order:
            cursor = cursor.sort(list(query.order))
        return cursor if query.limit is None else cursor.limit(query.limit)
