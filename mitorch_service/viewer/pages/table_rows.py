"""Renders the rows of the table of trainings, for its page and for what is sent when they change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from markupsafe import Markup

from mitorch_service.insights.tables.columns import Column
from mitorch_service.insights.tables.table import Row
from mitorch_service.viewer.pages.templates import macros

Places = list[tuple[int, int | None]]


def places_of(columns: Sequence[Column]) -> Places:
    """The columns that are shown, by their index, and the column of the total where one is a progress: epochs done and
    wanted are one column where they stand side by side; the name is the row's heading."""
    names = [column.name for column in columns]
    found: Places = []
    for index, name in enumerate(names):
        if name == "name" or (name == "max_epochs" and index and names[index - 1] == "epoch"):
            continue
        joined = name == "epoch" and names[index + 1 : index + 2] == ["max_epochs"]
        found.append((index, index + 1 if joined else None))
    return found


def render_row(columns: Sequence[Column], row: Row, now: datetime, selectable: bool = True) -> Markup:
    """The HTML of a row."""
    return macros("trainings_row.html")["row"](columns, places_of(columns), row, now, selectable)
