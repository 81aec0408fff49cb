"""Converts the parameters of a job's trial to Optuna's: by name, with readable values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from mitorch_service.search.space.expressions import Choice, Range, Scalar, shown
from mitorch_service.search.space.space import Space

_NONE: Mapping[str, int] = {}


def parameters_of(
    space: Space, parameters: Mapping[str, Any], options: Mapping[str, int] = _NONE
) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
    """Values and distributions of a trial's active parameters; `options`: the indices of its chosen options. A name
    that has different expressions in different options of a choice becomes several parameters: Optuna wants one
    distribution for a name. Empty if the parameters are not of this space."""
    point = space.point_of(parameters, options=options)
    values: dict[str, Any] = {}
    distributions: dict[str, BaseDistribution] = {}
    for parameter in space.active(point) if point is not None else ():
        expression, raw = parameter.expression, (point or {})[parameter.name]
        values[parameter.key] = _categories(expression)[int(raw)] if isinstance(expression, Choice) else raw
        distributions[parameter.key] = _distribution(expression)
    return values, distributions


def _categories(choice: Choice) -> Sequence[Scalar]:
    """The labels; as texts if some are equal to Optuna, as 1 and true are."""
    return choice.labels if len(set(choice.labels)) == len(choice.labels) else [*map(shown, choice.labels)]


def _distribution(expression: Choice | Range) -> BaseDistribution:
    if isinstance(expression, Choice):
        return CategoricalDistribution(_categories(expression))
    step = None if expression.log else expression.step  # Optuna has no steps on a logarithmic scale
    if expression.integer:
        low, high = int(expression.low), int(expression.high)
        step = int(step or 1)
        return IntDistribution(low, low + (high - low) // step * step, log=expression.log, step=step)
    if step is None:
        return FloatDistribution(expression.low, expression.high, log=expression.log)
    highest = Decimal(str(expression.low)) + Decimal(str(step)) * (int(expression.count()) - 1)
    return FloatDistribution(expression.low, float(highest), step=step)
