"""Draws the charts of a search as SVG on the server, so that they are the same with and without JavaScript."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from markupsafe import Markup

from mitorch_service.insights.search.search_columns import Column
from mitorch_service.insights.search.search_history import Improvement, TrialPoint, best_first
from mitorch_service.insights.search.search_view import Importance, SearchView
from mitorch_service.insights.training.curves import Curve
from mitorch_service.models.search.objectives import Direction
from mitorch_service.viewer.charts.plot import Pair, Plot
from mitorch_service.viewer.charts.scales import Scale, Worse, scale_of, value_scale
from mitorch_service.viewer.pages.templates import clean, number

MOST_POINTS = 1500  # of one chart; beyond, evenly chosen ones are drawn, and all of the best
TOP = 10  # trials that are marked
_CHARACTER = 7.0  # pixels of the width of one in a label, at most on average
_MOST_SLICES = 12
_MOST_LINKS = 100


def best_so_far(view: SearchView, over: str) -> Markup:
    """The best value so far over `results`, `hours` or `cost`; nothing before the first value."""
    found = view.improvements
    places = _over(over, found)
    if not found or not places or (over != "results" and places[-1] <= 0):
        return Markup("")
    direction, objective = view.job.search.directions()[0], view.job.search.objectives()[0]
    x = Scale(
        min(0.0, places[0]) if over != "results" else 1.0, max(places[-1], 2.0) if over == "results" else places[-1]
    )
    plot = Plot(x, value_scale((one.value for one in found), _worse(direction)))
    better = [(place, one) for place, one in zip(places, found, strict=True) if one.is_best]
    label = {"results": "trials with a result", "hours": "hours since submission"}.get(over, _cost_label(view))
    title = f"Best {objective} so far over {label}: {number(found[-1].best)} after {len(found)} results"
    return plot.draw(
        title,
        label,
        objective,
        plot.points(_even([(place, one.value) for place, one in zip(places, found, strict=True)]), "is-other"),
        plot.steps([(place, one.best) for place, one in better], "is-best", places[-1]),
        *(plot.link(place, one.best, _address(one.trial), _title(one.trial)) for place, one in better[-_MOST_LINKS:]),
    )


def importance_bars(importance: Importance, objective: str) -> Markup:
    """A bar for each parameter, and over it the range over the resamples."""
    shares = [*importance.shares.get(objective, {}).items()][:_MOST_SLICES]
    width, row, left = 620, 30, 210
    inner, rows = width - left - 60, []
    for index, (name, share) in enumerate(shares):
        y = row * index + 6
        title = f"{name}: {share.share:.1%}, from {share.low:.1%} to {share.high:.1%}"
        rows.append(
            Markup(
                '<g><title>{}</title><text x="{}" y="{}" text-anchor="end">{}</text>'
                '<rect class="share" x="{}" y="{}" width="{}" height="14" rx="3"/>'
                '<path class="range" d="M{} {}v8m0 -4H{}m0 -4v8"/><text class="value" x="{}" y="{}">{}</text></g>'
            ).format(
                clean(title), left - 10, y + 12, clean(_end(name)), left, y, f"{inner * share.share:.1f}",
                f"{left + inner * share.low:.1f}", y + 3, f"{left + inner * share.high:.1f}",
                f"{left + inner * max(share.high, share.share) + 8:.1f}", y + 12, f"{share.share:.0%}",
            )
        )  # fmt: skip
    label = f"Importance for {objective}: " + ", ".join(f"{name} {share.share:.0%}" for name, share in shares)
    return Markup('<svg class="plot-svg" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        width, row * len(shares) + 4, clean(label), Markup("").join(rows)
    )


def slice_chart(view: SearchView, column: Column, objective: int = 0) -> Markup:
    """The values of the trials that have the parameter, over it."""
    direction, name = view.job.search.directions()[objective], view.job.search.objectives()[objective]
    known = _known(view, [column], objective)
    if not known:
        return Markup("")
    plot = Plot(scale_of(column), value_scale((value for _, value, _ in known), _worse(direction)), 440, 230)
    best = {one.number for one in best_first((one for _, _, one in known), direction)[:TOP]}
    spread = _spread(column)
    pairs = [((x[0] + spread(one.number)), value) for x, value, one in known if one.number not in best]
    links = [
        plot.link(x[0] + spread(one.number), value, _address(one), f"{_title(one)}, {column.name} {number(x[0])}")
        for x, value, one in known
        if one.number in best
    ]
    title = f"{name} over {column.name}, {len(known)} trials"
    return plot.draw(title, column.name, name, plot.points(_even(pairs), "is-other"), *links)


def contour_chart(view: SearchView, x: Column, y: Column, objective: int = 0) -> Markup:
    """The values over two parameters, of the trials that have both: the place is the parameters', the shade the
    value's rank in tenths. A surface between the points would show more than is known."""
    direction, name = view.job.search.directions()[objective], view.job.search.objectives()[objective]
    known = _known(view, [x, y], objective)
    if not known:
        return Markup("")
    up_scale = scale_of(y)
    longest = max((len(label) for _, label in up_scale.ticks()), default=0)
    plot = Plot(scale_of(x), up_scale, 620, 340, left=max(62, round(34 + _CHARACTER * longest)))
    sign = 1 if direction == "minimize" else -1
    ordered = sorted(known, key=lambda item: -sign * item[1])  # the best ones are drawn last, over the others
    across, up = _spread(x), _spread(y)
    tenths: list[list[Pair]] = [[] for _ in range(10)]
    for rank, (place, _, one) in enumerate(ordered):
        tenths[rank * 10 // len(ordered)].append((place[0] + across(one.number), place[1] + up(one.number)))
    best = [
        plot.link(place[0] + across(one.number), place[1] + up(one.number), _address(one), _title(one))
        for place, _, one in ordered[-TOP:]
    ]
    title = f"{name} over {x.name} and {y.name}, {len(known)} trials"
    layers = [plot.points(_even(pairs, MOST_POINTS // 10), f"tenth-{index}") for index, pairs in enumerate(tenths)]
    return plot.draw(title, x.name, y.name, *layers, *best)


def pareto_chart(view: SearchView) -> Markup:
    """The first two objectives of all trials; those of the front lead to their pages."""
    names, directions = view.job.search.objectives(), view.job.search.directions()
    known = [one for one in view.trials if len(one.values) == len(names)]
    if len(names) < 2 or not known:
        return Markup("")
    x, y = (value_scale((one.values[index] for one in known), _worse(directions[index])) for index in (0, 1))
    plot = Plot(x, y, 620, 340)
    front = sorted((one for one in known if one.number in view.front), key=lambda one: one.values)
    others = [(one.values[0], one.values[1]) for one in known if one.number not in view.front]
    line = [plot.line([(one.values[0], one.values[1]) for one in front], "is-front")] if len(names) == 2 else []
    links = [plot.link(one.values[0], one.values[1], _address(one), _title(one)) for one in front[:_MOST_LINKS]]
    title = f"Pareto front of {len(front)} among {len(known)} trials"
    labels = [
        f"{name} ({'lower' if way == 'minimize' else 'higher'} is better)"
        for name, way in zip(names, directions, strict=True)
    ]
    return plot.draw(title, labels[0], labels[1], plot.points(_even(others), "is-other"), *line, *links)


def intermediate_chart(
    curves: Sequence[Curve], trials: Sequence[TrialPoint], measure: str, direction: Direction
) -> Markup:
    """The curves of the best trials over those of some others; a stopped one ends in a mark."""
    top = {one.id for one in best_first(trials, direction)[:TOP]}
    by_id = {one.id: one for one in trials}
    known = [(by_id[curve.training_id], series) for curve in curves for series in curve.series if series.x]
    finite = [value for _, series in known for value in series.y if value is not None and math.isfinite(value)]
    if not finite:
        return Markup("")
    last = max(series.x[-1] for _, series in known)
    plot = Plot(Scale(1.0, max(last, 2.0)), value_scale(finite, _worse(direction)), 620, 300)
    parts = []
    for trial, series in sorted(known, key=lambda item: item[0].id in top):
        pairs = [(x, y) for x, y in zip(series.x, series.y, strict=True) if y is not None and math.isfinite(y)]
        if not pairs:
            continue
        kind = "is-top" if trial.id in top else f"is-{trial.status.value}"
        line = Markup('<a href="{}" tabindex="-1"><title>{}</title>{}</a>').format(
            _address(trial), clean(_title(trial)), plot.line(pairs, kind)
        )
        parts += [line, plot.points(pairs[-1:], f"end {kind}")]
    title = f"{measure} by epoch: the best {len(top)} trials and {len(known) - len(top)} others"
    return plot.draw(title, "epoch", measure, *parts)


def _over(over: str, found: Sequence[Improvement]) -> list[float]:
    if over == "hours":
        return [one.hours or 0.0 for one in found]
    return [one.cost for one in found] if over == "cost" else [float(index + 1) for index in range(len(found))]


def _cost_label(view: SearchView) -> str:
    return "cost of all trials" if any(one.cost.cost for one in view.trials) else "node hours of all trials"


def _known(view: SearchView, columns: Sequence[Column], objective: int) -> list[tuple[list[float], float, TrialPoint]]:
    """The trials with a value that have all these parameters."""
    found = []
    for index, trial in enumerate(view.trials):
        places = [place for column in columns if (place := column.values[index]) is not None]
        if len(places) == len(columns) and len(trial.values) > objective:
            found.append((places, trial.values[objective], trial))
    return found


def _spread(column: Column) -> Callable[[int], float]:
    """Moves the points of a category a little apart, by the number of the trial."""
    if column.is_number:
        return lambda number: 0.0
    return lambda number: ((number * 0.6180339887) % 1 - 0.5) * 0.5


def _even(pairs: Sequence[Pair], most: int = MOST_POINTS) -> list[Pair]:
    if len(pairs) <= most:
        return [*pairs]
    return [pairs[index * len(pairs) // most] for index in range(most)]


def _worse(direction: Direction) -> Worse:
    return "high" if direction == "minimize" else "low"


def _address(trial: TrialPoint) -> str:
    return f"/trainings/{trial.id}"


def _title(trial: TrialPoint) -> str:
    return f"trial {trial.number}, {trial.status.value}" + "".join(f", {number(value)}" for value in trial.values)


def _end(name: str) -> str:
    """The end of a dotted name, which tells most."""
    return name if len(name) <= 28 else f"…{name[-27:]}"
