"""The workload of a replay from what has ended in the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from mitorch_service.controller.observe.cost import run_time
from mitorch_service.controller.replay.work import Work
from mitorch_service.errors import BrokenDocument
from mitorch_service.models.fair_share.share import shares_of
from mitorch_service.models.training import TrainingRow
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.tables import ORDER_PATHS, IndexOrder, IndexRange

_PAGE = 1000


def recorded_work(store: Store, since: datetime, most: int) -> list[Work]:
    """Returns the trainings that have ended since then and ran, by an index: the newest, if there are too many. Each
    takes as long as all of its attempts together did."""
    work: list[tuple[datetime, Work]] = []
    for row in _ended_since(store, since):
        seconds = _seconds(row)
        if seconds > 0:
            work.append((row.created_at, _work(row, seconds)))
        if len(work) == most:
            break
    first = min((at for at, _ in work), default=since)
    return [replace(one, submitted=(at - first).total_seconds()) for at, one in work]


def _ended_since(store: Store, since: datetime) -> Iterator[TrainingRow]:
    after: tuple[object, ...] | None = None
    paths = ORDER_PATHS[IndexOrder.ENDED]
    while True:
        ended = IndexRange(IndexOrder.ENDED, low=since)
        page = store.tables.rows(ended, True, _PAGE, after, without=("config", "error"))
        for document in page:
            with suppress(BrokenDocument):
                yield TrainingRow.from_document(document)
        if len(page) < _PAGE:
            return
        after = tuple(page[-1][path] for path in paths)


def _seconds(row: TrainingRow) -> float:
    times = [run_time(attempt, attempt.ended_at) for attempt in row.attempts if attempt.ended_at is not None]
    return sum(((end - begin) for begin, end in times), timedelta()).total_seconds()


def _work(row: TrainingRow, seconds: float) -> Work:
    needed, shares = row.resources, shares_of(row.tags, row.submitted_by)
    return Work(
        submitted=0.0,
        seconds=seconds,
        nodes=1 if needed is None else needed.nodes,
        user=shares["user"],
        team=shares["team"],
        priority=row.priority,
        dataset=row.job_id or str(row.dataset),
        epochs=row.max_epochs,
        gpus=None if needed is None else needed.gpus,
        memory=None if needed is None else needed.memory,
        clusters=None if needed is None or needed.cluster is None else tuple(needed.cluster),
    )
