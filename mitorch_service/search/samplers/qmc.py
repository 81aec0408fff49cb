"""Quasi-Monte Carlo search: a scrambled Sobol sequence, which fills a space more evenly than random draws."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats.qmc import Sobol

from mitorch_service.search.base import History, Sampler, Study
from mitorch_service.search.samplers.unit_cube import UnitCube
from mitorch_service.search.space.space import Point


class QmcSampler(Sampler):
    """Trial k's point is the k-th of the sequence that the seed scrambles."""

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        self._cube = UnitCube(study.space)

    def propose(self, history: History, number: int, salt: int) -> Point:
        return self._cube.point(sobol(self._cube.width, self.study.seed, number + salt * self.study.max_trials))


def sobol(width: int, seed: int, number: int) -> NDArray[np.float64]:
    """Point `number` of a sequence in the unit cube."""
    sequence = Sobol(width, scramble=True, rng=np.random.default_rng(seed))
    if number:  # scipy cannot skip none
        sequence.fast_forward(number)
    return np.asarray(sequence.random(1)[0])
