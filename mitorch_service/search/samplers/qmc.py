"""Quasi-Monte Carlo search: a scrambled Sobol sequence, which covers a space more evenly than random points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats.qmc import Sobol

from mitorch_service.search.base import History, Sampler, Study
from mitorch_service.search.samplers.unit_cube import UnitCube
from mitorch_service.search.space.space import Point


class QmcSampler(Sampler):
    """Gives trial k the k-th point of the sequence that the seed scrambles."""

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        self._cube = UnitCube(study.space)

    def propose(self, history: History, number: int, salt: int) -> Point:
        return self._cube.point(sobol(self._cube.width, self.study.seed, number + salt * self.study.max_trials))


def sobol(width: int, seed: int, number: int) -> NDArray[np.float64]:
    """Returns point `number` of the sequence in the unit cube, as a row of `width` numbers (Owen scrambling, scipy)."""
    sequence = Sobol(width, scramble=True, rng=np.random.default_rng(seed))
    if number:  # scipy refuses to skip 0 points
        sequence.fast_forward(number)
    return np.asarray(sequence.random(1)[0])
