"""Losses made fit for a Gaussian process: of two ways the one under which the process explains them better is taken."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

Vector = NDArray[np.float64]
Transformed = tuple[
    Vector, float
]  # mean 0 and deviation 1; the logarithm of the change's Jacobian, to compare evidence

_LEAST = 1e-12
_EXPONENTS = (-4.0, 4.0)
_LARGEST = 300.0  # the logarithm of what can be squared
_ABOVE_ZERO = 0.05  # of the median distance from the best, so that the best has a logarithm


def drawn_in(losses: Vector) -> Transformed:
    """As they are, but a long tail of bad ones is drawn in: right for smooth functions."""
    middle, upper = np.quantile(losses, [0.5, 0.75])
    fence = upper + 1.5 * (upper - middle)
    unit = max(float(fence - middle), _LEAST)
    excess = np.log1p(np.maximum(losses - fence, 0.0) / unit)
    return _standardised(np.minimum(losses, fence) + unit * excess, -float(excess.sum()))


def power(losses: Vector) -> Transformed:
    """After the power transform that makes them most normal (Box and Cox, 1964): right where a few are much worse than
    most and the good ones lie close together, as the ends of trainings do."""
    unit = max(float(np.median(losses - losses.min())), _LEAST)
    positive = (losses - losses.min()) / unit + _ABOVE_ZERO
    if np.ptp(positive) < _LEAST:
        return _standardised(losses, 0.0)
    logarithms = np.log(positive)
    total, half = float(logarithms.sum()), 0.5 * len(losses)

    def unlikely(exponent: float) -> float:
        return half * float(np.log(_box_cox(logarithms, exponent).var())) - (exponent - 1) * total

    exponent = float(minimize_scalar(unlikely, bounds=_EXPONENTS, method="bounded").x)
    return _standardised(_box_cox(logarithms, exponent), (exponent - 1) * total - len(losses) * float(np.log(unit)))


def _box_cox(logarithms: Vector, exponent: float) -> Vector:
    """(x ** exponent - 1) / exponent."""
    if exponent == 0:
        return logarithms
    return np.expm1(np.minimum(exponent * logarithms, _LARGEST)) / exponent


def _standardised(losses: Vector, jacobian: float) -> Transformed:
    deviation = max(float(losses.std()), _LEAST)
    return (losses - losses.mean()) / deviation, jacobian - len(losses) * float(np.log(deviation))
