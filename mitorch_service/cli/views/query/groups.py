"""Shows trainings counted by a field (`miquery --group-by`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from mitorch_service.cli.views.pages.page import Block, Column, Lines, Page, Table
from mitorch_service.cli.views.query.base import View
from mitorch_service.insights.tables.grouping import Group, Grouping, group_trainings
from mitorch_service.insights.tables.text_export import csv_table
from mitorch_service.insights.waiting.queue import by_status
from mitorch_service.models.status import TrainingStatus
from mitorch_service.stores.base import Store
from mitorch_service.wording.counted import counted


class GroupView(View):
    """The groups of a filter's trainings."""

    waits = False

    def __init__(self, store: Store, where: str, by: str, value: str | None, seconds: float) -> None:
        self._store = store
        self._where = where
        self._by = by
        self._value = value
        self._seconds = seconds

    def read(self) -> Page:
        grouping = self._read()
        statuses = _statuses(grouping)
        names = [grouping.by.heading, "trainings", *statuses]
        columns = [Column(name, rank, 12 if rank == 0 else None) for rank, name in enumerate(names)]
        if grouping.value is not None:
            columns += [Column(f"{name} {grouping.value.heading}", 1) for name in ("best", "mean", "min", "max")]
            columns.append(Column("n", 2))
        rows = [_row(group, statuses, grouping.value is not None) for group in grouping.groups]
        blocks: list[Block] = [Table("groups", columns, rows)]
        if grouping.unreadable:
            blocks.append(Lines([str(broken) for broken in grouping.unreadable], to_errors=True))
        return Page([*blocks, Lines(list(self._notes(grouping)))])

    def has_ended(self) -> bool:
        return False

    def fields(self) -> Iterable[tuple[str, object]]:
        grouping = self._read()
        yield "by", grouping.by.name
        yield "value", grouping.value and grouping.value.name
        yield "groups", [_document(group, grouping.value is not None) for group in grouping.groups]
        yield "left_out", grouping.left_out
        yield "complete", grouping.complete
        yield "scanned", grouping.scanned
        yield "unreadable", [{"id": str(one.key), "reason": one.reason} for one in grouping.unreadable]

    def csv_lines(self) -> Iterator[str]:
        """The lines of a CSV file."""
        grouping = self._read()
        valued = grouping.value is not None
        names = [grouping.by.heading, "trainings", *TrainingStatus, *(("best", "mean", "min", "max", "n") * valued)]
        rows = (_row(group, list(TrainingStatus), valued) for group in grouping.groups)
        return csv_table(names, rows)

    def _read(self) -> Grouping:
        return group_trainings(
            self._store, self._where, self._by, datetime.now(UTC), value=self._value, seconds=self._seconds
        )

    def _notes(self, grouping: Grouping) -> Iterable[str]:
        if not grouping.groups:
            yield "none fits" if grouping.complete else "none found so far"
        if grouping.left_out:
            yield f"{counted(grouping.left_out, 'training')} of further groups left out"
        if not grouping.complete:
            looked = f"looked at {counted(grouping.scanned, 'training')} in {self._seconds:g} s"
            yield f"{looked}, and not at all: --time-limit gives it more time"


def _statuses(grouping: Grouping) -> list[str]:
    present = {status: 1 for group in grouping.groups for status in group.by_status}
    return [status for status, _ in by_status(present)]


def _row(group: Group, statuses: Iterable[str], valued: bool) -> list[object]:
    values = [group.best, group.mean, group.least, group.greatest, group.n] if valued else []
    return [group.key, group.count, *(group.by_status.get(status) for status in statuses), *values]


def _document(group: Group, valued: bool) -> dict[str, object]:
    document: dict[str, object] = {"key": group.key, "trainings": group.count, "by_status": dict(group.by_status)}
    if valued:
        document |= {"best": group.best, "mean": group.mean, "min": group.least, "max": group.greatest, "n": group.n}
    return document
