"""Converts expressions to Optuna's distributions, and their values in both directions.

A choice among numbers becomes an integer, its rank, so that Optuna models their order. A range with a step becomes the
number of steps.
"""

from __future__ import annotations

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from mitorch_service.search.space.expressions import Choice, Range


def distribution(expression: Choice | Range) -> BaseDistribution:
    """Returns the distribution that Optuna samples in place of the expression."""
    if isinstance(expression, Choice):
        count = len(expression.options)
        return IntDistribution(0, count - 1) if expression.order() else CategoricalDistribution(range(count))
    if expression.step is not None:
        return IntDistribution(0, int(expression.count()) - 1)
    if expression.integer:
        return IntDistribution(int(expression.low), int(expression.high), log=expression.log)
    return FloatDistribution(expression.low, expression.high, log=expression.log)


def to_distribution(expression: Choice | Range, value: float) -> float | int:
    """Returns Optuna's value for a value of the expression (an option's index, or a number)."""
    if isinstance(expression, Choice):
        order = expression.order()
        return order.index(int(value)) if order else int(value)
    return value if expression.step is None else round((value - expression.low) / expression.step)


def from_distribution(expression: Choice | Range, value: float) -> float | int:
    """Returns the value of the expression for Optuna's; the inverse of `to_distribution`."""
    if isinstance(expression, Choice):
        order = expression.order()
        return order[int(value)] if order else int(value)
    return value if expression.step is None else expression.nth(int(value))


def suggested(trial: optuna.Trial, key: str, wanted: BaseDistribution) -> float | int:
    """Returns the value that the trial's sampler suggests."""
    if isinstance(wanted, IntDistribution):
        return trial.suggest_int(key, wanted.low, wanted.high, step=wanted.step, log=wanted.log)
    if isinstance(wanted, FloatDistribution):
        return trial.suggest_float(key, wanted.low, wanted.high, step=wanted.step, log=wanted.log)
    assert isinstance(wanted, CategoricalDistribution)
    return int(trial.suggest_categorical(key, wanted.choices))  # type: ignore[arg-type]  # they are indices
