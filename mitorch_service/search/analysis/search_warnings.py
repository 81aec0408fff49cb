"""Warnings about a search: repeated trials, failures, and ranges that are too narrow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from mitorch_service.search.base import History, TrialState
from mitorch_service.search.samplers.observations import observe_all
from mitorch_service.search.samplers.pareto import Matrix, ranked
from mitorch_service.search.space.expressions import Range
from mitorch_service.search.space.space import Parameter, Point

_EDGE = 0.05  # of a range, or of its logarithm
_LEAST_TRIALS = 10
_BEST_SHARE, _BEST_LEAST = 0.1, 3  # trials that are checked for edges


def search_warnings(history: History, failures: Mapping[str, int] | None = None) -> list[str]:
    """Returns one line for each finding. `failures`: the number of trials that failed, by type of error."""
    return [*_duplicates(history), *_failures(history, failures or {}), *_edges(history)]


def _duplicates(history: History) -> list[str]:
    counts = Counter(tuple(sorted(record.point.items())) for record in history.records if record.number >= 0)
    more = sum(count - 1 for count in counts.values())
    return [f"{more} of the trials repeat the parameters of another one"] if more else []


def _failures(history: History, failures: Mapping[str, int]) -> list[str]:
    lines = [f"{count} failed with {kind}" for kind, count in sorted(failures.items(), key=lambda item: -item[1])]
    diverged = sum(record.state == TrialState.DIVERGED for record in history.records)
    if diverged:
        lines.append(f"{diverged} diverged: a loss was not finite; a lower learning rate is the usual remedy")
    return lines


def _edges(history: History) -> list[str]:
    """Ranges whose best trials are all near one end."""
    points, losses = observe_all(history)
    if len(points) < _LEAST_TRIALS:
        return []
    best = [points[index] for index in _best(losses, max(int(len(points) * _BEST_SHARE), _BEST_LEAST))]
    found = [_edge(parameter, best) for parameter in history.study.space.parameters]
    return [line for line in found if line]


def _best(losses: Matrix, count: int) -> list[int]:
    if losses.shape[1] > 1:
        return ranked(losses, count)
    first: list[int] = np.argsort(losses[:, 0], kind="stable")[:count].tolist()
    return first


def _edge(parameter: Parameter, best: list[Point]) -> str | None:
    expression = parameter.expression
    if not isinstance(expression, Range) or not all(parameter.name in point for point in best):
        return None
    values = [point[parameter.name] for point in best]
    places = [expression.to_unit(value) for value in values]
    for end, is_there in ((expression.low, max(places) < _EDGE), (expression.high, min(places) > 1 - _EDGE)):
        if is_there or all(value == end for value in values):
            return f"{parameter.key}: the best {len(best)} trials are at the edge of its range, {end}: widen it"
    return None
