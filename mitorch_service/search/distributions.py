"""Expressions as Optuna's distributions, and their values there and back.

Choices among numbers are ordered ones for Optuna: the rank is what it learns of. A stepped range is the number of steps.
"""

from __future__ import annotations

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from mitorch_service.search.expressions import Choice, Range


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
