"""Bayesian optimization with a Gaussian process: for spaces of few parameters and small budgets.

Each suggestion maximizes the logarithm of the expected improvement (Ament et al., Unexpected Improvements to Expected
Improvement, 2023), over random points of the unit cube that are refined around the best ones. Running trials count as
if they had ended with their predicted mean (kriging believer). Every other suggestion, and each one if the losses are
rough, keeps a distance from all other trials: otherwise parallel trials crowd around the best one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import erfcx, ndtr

from mitorch_service.search.base import History, Sampler, Study, seed_of
from mitorch_service.search.samplers.gaussian_process import GaussianProcess, fit
from mitorch_service.search.samplers.loss_transforms import box_cox, compressed_tail
from mitorch_service.search.samplers.observations import observe
from mitorch_service.search.samplers.qmc import sobol
from mitorch_service.search.samplers.unit_cube import Matrix, UnitCube
from mitorch_service.search.space.space import Point

MAX_OBSERVED = 256  # the best and the latest of more trials: the cost of the fit is cubic in them
_SPREAD, _KEPT, _AROUND = 1024, 6, 64  # candidates: in the whole cube, kept in each refinement, around each one kept
_SCALES = (0.1, 0.03, 0.01, 0.003)
_APART = 0.4  # of the distance between neighbours if all trials were spread evenly
_CROWDED = 50.0  # subtracted from the logarithm of the gain of a point that is nearer


class GaussianProcessSampler(Sampler):
    """Starts with a Sobol sequence, then maximizes the expected improvement."""

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        self._cube = UnitCube(study.space)
        self._fitted: tuple[bytes, GaussianProcess, bool] | None = None

    def propose(self, history: History, number: int, salt: int) -> Point:
        seen = observe(history)
        if len(seen.points) < first_trials(self.study, self._cube.width):
            return self._cube.point(sobol(self._cube.width, self.study.seed, number + salt * self.study.max_trials))
        rows, losses = thinned(self._cube.rows(seen.points), seen.losses)
        process, smooth = self._process(rows, losses)
        generator = np.random.default_rng(seed_of(self.study, number, salt))
        running, best = self._cube.rows(history.running), rows[np.argsort(losses, kind="stable")[:_KEPT]]
        gains = self._gains(process, running, not smooth or number % 2 == 0)
        rows = self._candidates(gains, best, generator)
        points = map(self._cube.point, rows)
        return next((point for point in points if not history.is_tried(point)), self._cube.point(rows[0]))

    def _process(self, rows: Matrix, losses: Matrix) -> tuple[GaussianProcess, bool]:
        """The process, fitted once for the same observations, and whether the losses are smooth."""
        mark = rows.tobytes() + losses.tobytes()
        if self._fitted is None or self._fitted[0] != mark:
            features, owners = self._cube.features(rows)
            plain, plain_jacobian = compressed_tail(losses)
            normal, normal_jacobian = box_cox(losses)
            smooth_process, rough_process = fit(features, plain, owners), fit(features, normal, owners)
            smooth_evidence = smooth_process.known.evidence + plain_jacobian
            smooth = smooth_evidence >= rough_process.known.evidence + normal_jacobian
            self._fitted = (mark, smooth_process if smooth else rough_process, smooth)
        return self._fitted[1:]

    def _gains(self, process: GaussianProcess, running: Matrix, apart: bool) -> Callable[[Matrix], Matrix]:
        """The acquisition function, of rows of the unit cube."""
        incumbent = float(process.predict(process.features)[0].min())
        if len(running):
            process = process.with_believed(self._cube.features(running)[0])
        distance = _APART * len(process.features) ** (-1 / self._cube.width)

        def gains(rows: Matrix) -> Matrix:
            features, _ = self._cube.features(rows)
            mean, deviation = process.predict(features)
            gain = log_expected_improvement((incumbent - mean) / deviation) + np.log(deviation)
            return gain - _CROWDED * _is_near(features, process.features, distance) if apart else gain

        return gains

    def _candidates(self, gains: Callable[[Matrix], Matrix], best: Matrix, generator: np.random.Generator) -> Matrix:
        """Rows of the unit cube, the highest gain first."""
        spread = generator.random((_SPREAD, self._cube.width))
        rows = self._cube.snap(np.vstack([spread, _around(best, _SCALES[0], generator)]))
        values = gains(rows)
        for scale in _SCALES:
            kept = rows[np.argsort(-values, kind="stable")[:_KEPT]]
            more = self._cube.snap(_around(kept, scale, generator))
            rows, values = np.vstack([rows, more]), np.concatenate([values, gains(more)])
        return rows[np.argsort(-values, kind="stable")]


def first_trials(study: Study, width: int) -> int:
    """Returns how many trials must have ended before the model is used; `width`: the number of parameters."""
    return min(max(2 * width, 4), 10) if study.initial_trials is None else study.initial_trials


def thinned(rows: Matrix, losses: Matrix) -> tuple[Matrix, Matrix]:
    """Returns all observations, or of more than MAX_OBSERVED the best half and the latest of the others."""
    if len(losses) <= MAX_OBSERVED:
        return rows, losses
    order = np.argsort(losses, kind="stable")
    best, rest = order[: MAX_OBSERVED // 2], np.sort(order[MAX_OBSERVED // 2 :])
    kept = np.sort(np.concatenate([best, rest[-(MAX_OBSERVED // 2) :]]))
    return rows[kept], losses[kept]


def log_expected_improvement(z: Matrix) -> Matrix:
    """Returns log(φ(z) + z Φ(z)) for each z, accurate for very negative z too (Ament et al. 2023, LogEI)."""
    near, far = np.maximum(z, -1.0), np.clip(z, -1e4, -1.0)
    plain = np.log(np.exp(-0.5 * near * near) / np.sqrt(2 * np.pi) + near * ndtr(near))
    tail = -0.5 * z * z - 0.5 * np.log(2 * np.pi) + np.log1p(far * np.sqrt(np.pi / 2) * erfcx(-far / np.sqrt(2)))
    return np.asarray(np.where(z > -1.0, plain, tail))


def _is_near(features: Matrix, others: Matrix, distance: float) -> Matrix:
    lengths = (features**2).sum(axis=1)[:, None] + (others**2).sum(axis=1)
    return np.asarray((lengths - 2 * features @ others.T).min(axis=1) < distance**2)


def _around(rows: Matrix, scale: float, generator: np.random.Generator) -> Matrix:
    """Neighbours of each row: 70 % of their columns moved by `scale`, 5 % random, the others unchanged."""
    repeated = np.repeat(rows, _AROUND, axis=0)
    moved = repeated + scale * generator.standard_normal(repeated.shape)
    fresh = generator.random(repeated.shape)
    fate = generator.random(repeated.shape)
    return np.where(fate < 0.7, moved, np.where(fate < 0.75, fresh, repeated))
