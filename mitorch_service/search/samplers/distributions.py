"""Expressions as Optuna's distributions, and their values there and back.

Choices among numbers are ordered ones for Optuna: it learns of the rank. A stepped range is the number of steps.
"""

from __future__ import annotations

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from mitorch_service.search.space.expressions import Choice, Range


def distribution(expression: Choice | Range) -> BaseDistribution:
    """What Optuna searches in place of the expression."""
    if isinstance(expression, Choice):
        count = len(expression.options)
        return IntDistribution(0, count - 1) if expression.order() else CategoricalDistribution(range(count))
    if expression.step is not None:
        return IntDistribution(0, int(expression.count()) - 1)
    if expression.integer:
        return IntDistribution(int(expression.low), int(expression.high), log=expression.log)
    return FloatDistribution(expression.low, expression.high, log=expression.log)


def to_distribution(expression: Choice | Range, value: float) -> float | int:
    """Optuna's value for an option's index or a number."""
    if isinstance(expression, Choice):
        order = expression.order()
        return order.index(int(value)) if order else int(value)
    return value if expression.step is None else round((value - expression.low) / expression.step)


def from_distribution(expression: Choice | Range, value: float) -> float | int:
    """The reverse of `to_distribution`."""
    if isinstance(expression, Choice):
        order = expression.order()
        return order[int(value)] if order else int(value)
    return value if expression.step is None else expression.nth(int(value))


def suggested(trial: optuna.Trial, key: str, asked: BaseDistribution) -> float | int:
    """What the trial's sampler suggests."""
    if isinstance(asked, IntDistribution):
        return trial.suggest_int(key, asked.low, asked.high, step=asked.step, log=asked.log)
    if isinstance(asked, FloatDistribution):
        return trial.suggest_float(key, asked.low, asked.high, step=asked.step, log=asked.log)
    assert isinstance(asked, CategoricalDistribution)
    return int(trial.suggest_categorical(key, asked.choices))  # type: ignore[arg-type]  # they are indices
