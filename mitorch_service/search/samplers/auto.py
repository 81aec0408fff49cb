"""The default sampler: a Gaussian process for few trials of few parameters, TPE beyond that and for several objectives.

Measured in tests/benchmarks/search_quality.py.
"""

from __future__ import annotations

from mitorch_service.search.base import History, Sampler, Study, TrialState
from mitorch_service.search.samplers.gp import GaussianProcessSampler
from mitorch_service.search.samplers.observations import observe
from mitorch_service.search.samplers.qmc import sobol
from mitorch_service.search.samplers.unit_cube import UnitCube
from mitorch_service.search.space.space import Point

MAX_TRIALS, MAX_WIDTH = 200, 16  # of the Gaussian process: its cost is cubic in the trials

SPREAD_EVERY = 4  # if some trials are stopped early, every 4th is a Sobol point: their final values are unknown


class AutoSampler(Sampler):
    """Chooses the sampler for each trial anew, by the history."""

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        self._process: GaussianProcessSampler | None = None
        self._tpe: Sampler | None = None
        self._cube = UnitCube(study.space)
        self._is_small = len(study.directions) == 1 and self._cube.width <= MAX_WIDTH

    def propose(self, history: History, number: int, salt: int) -> Point:
        if number % SPREAD_EVERY == SPREAD_EVERY - 1 and _are_stopped(history):
            row = sobol(self._cube.width, self.study.seed, number + salt * self.study.max_trials)
            return self._cube.point(row)
        if self._is_small and len(observe(history).points) <= MAX_TRIALS:
            self._process = self._process or GaussianProcessSampler(self.study)
            return self._process.propose(history, number, salt)
        if self._tpe is None:
            from mitorch_service.search.samplers.tpe import TpeSampler  # which takes half a second

            self._tpe = TpeSampler(self.study)
        return self._tpe.propose(history, number, salt)


_STOPPED = (TrialState.PRUNED, TrialState.PAUSED)


def _are_stopped(history: History) -> bool:
    if "stopped" not in history.memory:
        history.memory["stopped"] = any(record.state in _STOPPED for record in history.records)
    return bool(history.memory["stopped"])
