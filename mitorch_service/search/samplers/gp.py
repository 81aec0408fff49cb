"""Bayesian optimisation with a Gaussian process: for spaces of few parameters and small budgets.

Each suggestion is where the logarithm of the expected improvement is highest (Ament et al. 2023, for its numerics),
found among points spread over the cube and refined around the best ones. Trials that still run count as if they had
ended as expected (a constant liar). Every other suggestion, and each one where the losses are rough, keeps a distance
from all that was tried or runs: otherwise parallel trials crowd around the best one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import erfcx, ndtr

from mitorch_service.search.base import History, Sampler, Study, seed_of
from mitorch_service.search.samplers.gaussian_process import GaussianProcess, fit
from mitorch_service.search.samplers.loss_transforms import drawn_in, power
from mitorch_service.search.samplers.observations import observe
from mitorch_service.search.samplers.qmc import sobol
from mitorch_service.search.samplers.unit_cube import Matrix, UnitCube
from mitorch_service.search.space.space import Point

MAX_OBSERVED = 256  # best and latest ones, where there are more: the fit's cost grows with their cube
_SPREAD, _KEPT, _AROUND = 1024, 6, 64  # candidates: over the cube, kept in each refinement, around each one kept
_SCALES = (0.1, 0.03, 0.01, 0.003)
_APART = 0.4  # of the distance between neighbours if all that was tried were spread evenly
_CROWDED = 50.0  # taken from the logarithm of what is nearer


class GaussianProcessSampler(Sampler):
    """Begins with points of a Sobol sequence, then maximises the expected improvement."""

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
        """Fitted once for the same observations; and whether the losses are smooth."""
        mark = rows.tobytes() + losses.tobytes()
        if self._fitted is None or self._fitted[0] != mark:
            features, owners = self._cube.features(rows)
            ways = [
                (fit(features, targets, owners), jacobian) for targets, jacobian in (drawn_in(losses), power(losses))
            ]
            evidence = [process.known.evidence + jacobian for process, jacobian in ways]
            smooth = evidence[0] >= evidence[1]
            self._fitted = (mark, ways[0 if smooth else 1][0], smooth)
        return self._fitted[1:]

    def _gains(self, process: GaussianProcess, running: Matrix, apart: bool) -> Callable[[Matrix], Matrix]:
        """The function of rows that is to be maximised."""
        incumbent = float(process.predict(process.features)[0].min())
        if len(running):
            process = process.believing(self._cube.features(running)[0])
        distance = _APART * len(process.features) ** (-1 / self._cube.width)

        def gains(rows: Matrix) -> Matrix:
            features, _ = self._cube.features(rows)
            mean, deviation = process.predict(features)
            gain = log_expected_improvement((incumbent - mean) / deviation) + np.log(deviation)
            return gain - _CROWDED * _is_near(features, process.features, distance) if apart else gain

        return gains

    def _candidates(self, gains: Callable[[Matrix], Matrix], best: Matrix, generator: np.random.Generator) -> Matrix:
        """Rows of the cube, the most promising first: one, or many where points of a finite space may be tried."""
        spread = generator.random((_SPREAD, self._cube.width))
        rows = self._cube.snapped(np.vstack([spread, _around(best, _SCALES[0], generator)]))
        values = gains(rows)
        for scale in _SCALES:
            kept = rows[np.argsort(-values, kind="stable")[:_KEPT]]
            more = self._cube.snapped(_around(kept, scale, generator))
            rows, values = np.vstack([rows, more]), np.concatenate([values, gains(more)])
        return rows[np.argsort(-values, kind="stable")]


def first_trials(study: Study, width: int) -> int:
    """How many trials must have ended before the model is asked."""
    return min(max(2 * width, 4), 10) if study.initial_trials is None else study.initial_trials


def thinned(rows: Matrix, losses: Matrix) -> tuple[Matrix, Matrix]:
    """The best half and the latest of the others, where there are more than the model can take."""
    if len(losses) <= MAX_OBSERVED:
        return rows, losses
    order = np.argsort(losses, kind="stable")
    best, rest = order[: MAX_OBSERVED // 2], np.sort(order[MAX_OBSERVED // 2 :])
    kept = np.sort(np.concatenate([best, rest[-(MAX_OBSERVED // 2) :]]))
    return rows[kept], losses[kept]


def log_expected_improvement(z: Matrix) -> Matrix:
    """log(φ(z) + z Φ(z)), exact far into the negative."""
    near, far = np.maximum(z, -1.0), np.clip(z, -1e4, -1.0)
    plain = np.log(np.exp(-0.5 * near * near) / np.sqrt(2 * np.pi) + near * ndtr(near))
    tail = -0.5 * z * z - 0.5 * np.log(2 * np.pi) + np.log1p(far * np.sqrt(np.pi / 2) * erfcx(-far / np.sqrt(2)))
    return np.asarray(np.where(z > -1.0, plain, tail))


def _is_near(features: Matrix, others: Matrix, distance: float) -> Matrix:
    squares = ((features[:, None, :] - others[None, :, :]) ** 2).sum(axis=2)
    return np.asarray(squares.min(axis=1) < distance**2)


def _around(rows: Matrix, scale: float, generator: np.random.Generator) -> Matrix:
    """Neighbours of each row, which differ from it in some of their columns; now and then one is drawn anew."""
    repeated = np.repeat(rows, _AROUND, axis=0)
    moved = repeated + scale * generator.standard_normal(repeated.shape)
    anew, part = generator.random(repeated.shape), generator.random(repeated.shape)
    return np.where(part < 0.7, moved, np.where(part < 0.75, anew, repeated))
