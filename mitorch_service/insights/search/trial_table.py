"""The trials of a search as a table: sorted by anything, page by page. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mitorch_service.insights.search.search_columns import Column
from mitorch_service.insights.search.search_history import TrialPoint
from mitorch_service.models.search.objectives import Direction

PAGE = 50
_FIXED = ("value", "number", "status", "epochs")


@dataclass(frozen=True)
class TrialPage:
    """Some trials in their order."""

    trials: Sequence[TrialPoint]
    after: int | None  # the number of the last one, behind which the next page begins; None: there is none


def sorted_page(
    trials: Sequence[TrialPoint],
    columns: Sequence[Column],
    direction: Direction,
    sort: str = "value",
    after: int | None = None,
    limit: int = PAGE,
) -> TrialPage:
    """A page sorted by `value` (the best first), `number`, `status`, `epochs` or a parameter; `-` before it turns the
    order. Trials without a value come last either way; equal ones by number. `after`: a number; if its trial has gone,
    the first page."""
    name, turned = sort.removeprefix("-"), sort.startswith("-")
    places = _places(trials, columns, direction, name if name in sortable(columns) else "value")
    sign = -1 if turned else 1
    keys = {
        trial.number: (rank, sign * place, trial.number) for trial, (rank, place) in zip(trials, places, strict=True)
    }
    ordered = sorted(trials, key=lambda trial: keys[trial.number])
    start = next((index + 1 for index, trial in enumerate(ordered) if trial.number == after), 0)
    page = ordered[start : start + limit]
    return TrialPage(page, page[-1].number if start + limit < len(ordered) else None)


def sortable(columns: Sequence[Column]) -> list[str]:
    """Returns the names by which a table can be sorted."""
    return [*_FIXED, *(column.name for column in columns)]


def _places(
    trials: Sequence[TrialPoint], columns: Sequence[Column], direction: Direction, name: str
) -> list[tuple[int, float]]:
    """For each trial a rank, which stays where it is when the order is turned, and its place within the rank."""
    if name == "value":
        sign = 1 if direction == "minimize" else -1
        return [_by_value(trial, sign) for trial in trials]
    if name == "number":
        return [(0, trial.number) for trial in trials]
    if name == "epochs":
        return [(0, trial.epochs) for trial in trials]
    if name == "status":
        order = {status: index for index, status in enumerate(sorted({trial.status.value for trial in trials}))}
        return [(0, order[trial.status.value]) for trial in trials]
    values = next(column.values for column in columns if column.name == name)
    return [(1, 0.0) if value is None else (0, value) for value in values]


def _by_value(trial: TrialPoint, sign: int) -> tuple[int, float]:
    """Stopped trials have no final value: they stand behind those that have one, by what they reached."""
    if trial.values:
        return 0, sign * trial.values[0]
    return (2, 0.0) if trial.reached is None or math.isnan(trial.reached) else (1, sign * trial.reached)
