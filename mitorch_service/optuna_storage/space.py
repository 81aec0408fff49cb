"""Converts the parameters of a job's trial to Optuna's: by name, with readable values."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from mitorch_service.search.space.expressions import Choice, Range
from mitorch_service.search.space.space import Space


def parameters_of(space: Space, parameters: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
    """Values and distributions of a trial's active parameters. A name that has different expressions in different
    options of a choice becomes several parameters: Optuna wants one distribution for a name. Empty if the
    parameters are not of this space."""
    point = space.point_of(parameters)
    values: dict[str, Any] = {}
    distributions: dict[str, BaseDistribution] = {}
    for parameter in space.active(point) if point is not None else ():
        expression, raw = parameter.expression, (point or {})[parameter.name]
        values[parameter.key] = expression.label(int(raw)) if isinstance(expression, Choice) else raw
        distributions[parameter.key] = _distribution(expression)
    return values, distributions


def _distribution(expression: Choice | Range) -> BaseDistribution:
    if isinstance(expression, Choice):
        return CategoricalDistribution([expression.label(index) for index in range(len(expression.options))])
    step = None if expression.log else expression.step  # Optuna has no steps on a logarithmic scale
    if expression.integer:
        low, high = int(expression.low), int(expression.high)
        step = int(step or 1)
        return IntDistribution(low, low + (high - low) // step * step, log=expression.log, step=step)
    if step is None:
        return FloatDistribution(expression.low, expression.high, log=expression.log)
    highest = Decimal(str(expression.low)) + Decimal(str(step)) * (int(expression.count()) - 1)
    return FloatDistribution(expression.low, float(highest), step=step)
