"""The charts of a search that need more than its history: slices, contour, front, curves and timeline."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from markupsafe import Markup

from mitorch_service.errors import BrokenDocument, NotFound
from mitorch_service.insights.search.search_columns import Column
from mitorch_service.insights.search.search_view import Importance, SearchView, sample_of_curves
from mitorch_service.insights.training.curves import Curve, CurveRequest, read_curves
from mitorch_service.viewer.charts.search_charts import (
    TOP,
    contour_chart,
    intermediate_chart,
    pareto_chart,
    slice_chart,
)
from mitorch_service.viewer.charts.trial_lanes import trial_lanes
from mitorch_service.viewer.context import Context

_CURVES = 40  # that are not among the best
_POINTS = 100  # of one curve
_SLICES = 12


@dataclass(frozen=True)
class Parts:
    """Charts; an empty one has nothing to show."""

    slices: Sequence[tuple[Column, int, Markup]]  # with the number of trials that have the parameter
    contour: Markup
    contour_of: tuple[str, str]
    front: Markup
    curves: Markup
    lanes: Markup


def read_parts(context: Context, view: SearchView, importance: Importance | None, contour_of: tuple[str, str]) -> Parts:
    """Draws them; the curves of some fifty trials are read for it."""
    columns = view.columns
    names = _most_important_first(columns, importance)
    first, second = [*names, "", ""][:2]
    y = contour_of[1] if contour_of[1] in names else second
    x = contour_of[0] if contour_of[0] in names else first
    if x == y:  # one of them was chosen: it is shown with the most important other one
        x = second if y == first else first
    by_name = {column.name: column for column in columns}
    numbers = {one.number: one.id for one in view.trials}
    return Parts(
        slices=[(column, _have(column), chart) for column in columns[:_SLICES] if (chart := slice_chart(view, column))],
        contour=contour_chart(view, by_name[x], by_name[y]) if x and y and x != y else Markup(""),
        contour_of=(x, y),
        front=pareto_chart(view),
        curves=_curves(context, view),
        lanes=trial_lanes(view.timeline, numbers) if view.timeline else Markup(""),
    )


def _most_important_first(columns: Sequence[Column], importance: Importance | None) -> list[str]:
    """Orders names; parameters that all trials have stand first."""
    shares = next(iter(importance.shares.values()), {}) if importance else {}
    known = {name: share.share for name, share in shares.items()}
    ordered = sorted(columns, key=lambda column: (column.conditional, -known.get(column.name, 0.0)))
    return [column.name for column in ordered]


def _have(column: Column) -> int:
    return sum(value is not None for value in column.values)


def _curves(context: Context, view: SearchView) -> Markup:
    measure = view.job.search.objectives()[0]
    chosen = sample_of_curves(view, TOP, _CURVES)
    if not chosen:
        return Markup("")
    curves: list[Curve] = []
    with context.reading() as store:
        for one in chosen:
            with suppress(NotFound, BrokenDocument):  # deleted since the trials were read
                curves += read_curves(store, CurveRequest([one.id], [measure], "epoch", _POINTS))
    return intermediate_chart(curves, chosen, measure, view.job.search.resolved_direction())
