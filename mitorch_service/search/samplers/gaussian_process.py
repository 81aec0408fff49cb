"""Gaussian process regression with a Matérn 5/2 kernel and a length scale for each parameter, on numpy and scipy.

Rasmussen & Williams, Gaussian Processes for Machine Learning (2006): algorithm 2.1 (prediction), equation 4.17 (kernel)
and equations 5.8, 5.9 (evidence and its gradient). The logarithms of length scales, amplitude and noise maximize the
posterior density under the log-normal priors below. Shapes: n rows (observations), f features, g parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, solve_triangular
from scipy.optimize import minimize

Matrix = NDArray[np.float64]

_ROOT5 = np.sqrt(5.0)
_JITTER = 1e-8
_LENGTH_SPREAD, _AMPLITUDE_SPREAD = 1.0, 1.0  # standard deviations of the priors, of logarithms
_NOISE_CENTRE, _NOISE_SPREAD = np.log(1e-3), 2.5
_BOUNDS = {"length": (-4.0, 4.0), "amplitude": (-4.0, 4.0), "noise": (np.log(1e-7), 0.0)}


@dataclass(frozen=True)
class Hyperparameters:
    """Logarithms of the length scales (g), of the function's variance, and of the noise's variance."""

    lengths: Matrix
    amplitude: float
    noise: float
    evidence: float = 0.0  # logarithm of their posterior density, up to a constant


class GaussianProcess:
    """The posterior over functions, given `features` (n x f) and `targets` (n); `owners` (f): their parameters."""

    def __init__(self, features: Matrix, targets: Matrix, owners: NDArray[np.intp], known: Hyperparameters) -> None:
        self.features, self.targets, self.owners, self.known = features, targets, owners, known
        self._scale = np.exp(-known.lengths)[owners]
        covariance = _matern(_distances(features, features, self._scale)) * np.exp(known.amplitude)
        covariance.flat[:: len(covariance) + 1] += np.exp(known.noise) + _JITTER
        self._lower = np.linalg.cholesky(covariance)
        self._weights = cho_solve((self._lower, True), targets)

    def predict(self, features: Matrix) -> tuple[Matrix, Matrix]:
        """Returns mean (m) and standard deviation (m) of the function, without noise, at each row (m x f)."""
        amplitude = np.exp(self.known.amplitude)
        cross = _matern(_distances(features, self.features, self._scale)) * amplitude
        solved = solve_triangular(self._lower, cross.T, lower=True, check_finite=False)
        variance = np.maximum(amplitude - np.einsum("ij,ij->j", solved, solved), 1e-12)
        return cross @ self._weights, np.sqrt(variance)

    def with_believed(self, features: Matrix) -> GaussianProcess:
        """Returns the process as if its own means had been measured at these rows (m x f): the kriging believer of
        Ginsbourger, Le Riche & Carraro, Kriging is well-suited to parallelize optimization (2010)."""
        means = self.predict(features)[0]
        rows = np.vstack([self.features, features])
        return GaussianProcess(rows, np.concatenate([self.targets, means]), self.owners, self.known)


def fit(features: Matrix, targets: Matrix, owners: NDArray[np.intp]) -> GaussianProcess:
    """Returns the process with the most probable hyperparameters, found by L-BFGS-B from two starts. `features` n x f,
    `targets` n (mean 0, deviation 1), `owners` f."""
    groups = int(owners.max()) + 1
    squares = np.stack([_squares(features[:, owners == group]) for group in range(groups)])
    centre = np.log(0.5) + 0.25 * np.log(groups)
    starts = [np.r_[np.full(groups, centre + offset), 0.0, noise] for offset, noise in ((0.0, -9.0), (-0.7, -4.0))]
    bounds = [_BOUNDS["length"]] * groups + [_BOUNDS["amplitude"], _BOUNDS["noise"]]

    def loss(x: Matrix) -> tuple[float, Matrix]:
        return _negative_log_posterior(x, squares, targets, centre)

    found = [minimize(loss, x, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 60}) for x in starts]
    best = min(found, key=lambda result: float(result.fun))
    x = best.x
    known = Hyperparameters(x[:-2], float(x[-2]), float(x[-1]), -float(best.fun))
    return GaussianProcess(features, targets, owners, known)


def _negative_log_posterior(x: Matrix, squares: Matrix, targets: Matrix, centre: float) -> tuple[float, Matrix]:
    lengths, amplitude, noise = x[:-2], np.exp(x[-2]), np.exp(x[-1])
    weighted = squares * np.exp(-2 * lengths)[:, None, None]
    distance = np.sqrt(weighted.sum(axis=0))
    decay = np.exp(-_ROOT5 * distance)
    kernel = amplitude * (1 + _ROOT5 * distance + 5 / 3 * distance**2) * decay
    covariance = kernel.copy()
    covariance.flat[:: len(covariance) + 1] += noise + _JITTER
    try:
        lower = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        return 1e25, np.zeros_like(x)
    weights = cho_solve((lower, True), targets)
    inverse = cho_solve((lower, True), np.eye(len(targets)))
    outer = np.outer(weights, weights) - inverse
    by_length = amplitude * 5 / 3 * (1 + _ROOT5 * distance) * decay * outer
    gradient = (
        -0.5 * np.r_[np.einsum("ij,gij->g", by_length, weighted), np.sum(outer * kernel), noise * np.trace(outer)]
    )
    value = 0.5 * float(targets @ weights) + float(np.log(np.diag(lower)).sum())
    prior, prior_gradient = _prior(x, centre)
    return value + prior, gradient + prior_gradient


def _prior(x: Matrix, centre: float) -> tuple[float, Matrix]:
    centres = np.r_[np.full(len(x) - 2, centre), 0.0, _NOISE_CENTRE]
    spreads = np.r_[np.full(len(x) - 2, _LENGTH_SPREAD), _AMPLITUDE_SPREAD, _NOISE_SPREAD]
    offset = (x - centres) / spreads
    return 0.5 * float(offset @ offset), np.asarray(offset / spreads)


def _squares(columns: Matrix) -> Matrix:
    return np.asarray(((columns[:, None, :] - columns[None, :, :]) ** 2).sum(axis=2))


def _distances(one: Matrix, other: Matrix, scale: Matrix) -> Matrix:
    a, b = one * scale, other * scale
    squares = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1)[None, :] - 2 * a @ b.T
    return np.asarray(np.sqrt(np.maximum(squares, 0.0)))


def _matern(distance: Matrix) -> Matrix:
    return np.asarray((1 + _ROOT5 * distance + 5 / 3 * distance**2) * np.exp(-_ROOT5 * distance))
