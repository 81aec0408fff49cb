"""Two transforms of losses for a Gaussian process; its sampler uses the one with the higher evidence."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

Vector = NDArray[np.float64]
# Losses with mean 0 and deviation 1; the logarithm of the transform's Jacobian, which makes evidences comparable.
Transformed = tuple[Vector, float]

_LEAST = 1e-12
_EXPONENTS = (-4.0, 4.0)
_LARGEST = 300.0  # logarithm of a number whose square is still finite
_ABOVE_ZERO = 0.05  # of the median distance from the best loss, added so that the best has a logarithm


def compressed_tail(losses: Vector) -> Transformed:
    """Compresses losses beyond 1.5 times the upper half of the interquartile range (Tukey's fence) to the logarithm of
    their excess, and leaves the others as they are: for smooth functions with a tail of bad losses."""
    middle, upper = np.quantile(losses, [0.5, 0.75])
    fence = upper + 1.5 * (upper - middle)
    unit = max(float(fence - middle), _LEAST)
    excess = np.log1p(np.maximum(losses - fence, 0.0) / unit)
    return _standardised(np.minimum(losses, fence) + unit * excess, -float(excess.sum()))


def box_cox(losses: Vector) -> Transformed:
    """Applies the power transform with the exponent of maximum likelihood (Box & Cox, An Analysis of Transformations,
    1964): for losses of which a few are much worse than most, as those of trainings are."""
    unit = max(float(np.median(losses - losses.min())), _LEAST)
    positive = (losses - losses.min()) / unit + _ABOVE_ZERO
    if np.ptp(positive) < _LEAST:
        return _standardised(losses, 0.0)
    logarithms = np.log(positive)
    total, half = float(logarithms.sum()), 0.5 * len(losses)

    def negative_log_likelihood(exponent: float) -> float:
        return half * float(np.log(_power(logarithms, exponent).var())) - (exponent - 1) * total

    exponent = float(minimize_scalar(negative_log_likelihood, bounds=_EXPONENTS, method="bounded").x)
    return _standardised(_power(logarithms, exponent), (exponent - 1) * total - len(losses) * float(np.log(unit)))


def _power(logarithms: Vector, exponent: float) -> Vector:
    """(x ** exponent - 1) / exponent, of the logarithms of x."""
    if exponent == 0:
        return logarithms
    return np.expm1(np.minimum(exponent * logarithms, _LARGEST)) / exponent


def _standardised(losses: Vector, jacobian: float) -> Transformed:
    deviation = max(float(losses.std()), _LEAST)
    return (losses - losses.mean()) / deviation, jacobian - len(losses) * float(np.log(deviation))
