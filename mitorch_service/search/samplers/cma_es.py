"""CMA-ES (Hansen, The CMA Evolution Strategy: A Tutorial, 2016), from the package cmaes: for spaces of many numbers and
larger budgets.

The strategy's state is rebuilt from the history: ended trials in the order of their numbers, generation by generation.
If the study has initial trials, the first generation is sampled around the best of them.
"""

from __future__ import annotations

import numpy as np
from cmaes import CMA

from mitorch_service.search.base import History, Sampler, Study, seed_of
from mitorch_service.search.samplers.observations import observe
from mitorch_service.search.samplers.qmc import sobol
from mitorch_service.search.samplers.unit_cube import UnitCube
from mitorch_service.search.space.space import Point

_SIGMA = 0.2  # of the first generation, in the unit cube
_LEAST_DIMENSIONS = 2  # that the package accepts


class CmaEsSampler(Sampler):
    """Samples from a normal distribution whose mean and covariance each generation updates."""

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        self._cube = UnitCube(study.space)

    def propose(self, history: History, number: int, salt: int) -> Point:
        if len(observe(history).points) < (self.study.initial_trials or 0):
            return self._cube.point(sobol(self._cube.width, self.study.seed, number + salt * self.study.max_trials))
        if "cma" not in history.memory:
            history.memory["cma"] = self._evolved(history)
        strategy: CMA = history.memory["cma"]
        strategy.reseed_rng(seed_of(self.study, number, salt))
        return self._cube.point(strategy.ask()[: self._cube.width])

    def _evolved(self, history: History) -> CMA:
        width = max(self._cube.width, _LEAST_DIMENSIONS)
        bounds = np.tile([0.0, 1.0], (width, 1))
        seen = observe(history)
        rows = self._cube.rows(seen.points)
        rows = np.hstack([rows, np.full((len(rows), width - self._cube.width), 0.5)])
        initial = self.study.initial_trials or 0
        mean = rows[np.argmin(seen.losses[:initial])] if initial else np.full(width, 0.5)
        strategy = CMA(mean=mean, sigma=_SIGMA, bounds=bounds, seed=self.study.seed)
        size = strategy.population_size
        for first in range(initial, len(rows) - size + 1, size):
            generation = slice(first, first + size)
            strategy.tell(list(zip(rows[generation], seen.losses[generation].tolist(), strict=True)))
        return strategy
