"""TPE (Bergstra et al. 2011) from Optuna: multivariate, grouped by which parameters are active together; of several
objectives each parameter by itself, which finds better fronts (measured in tests/benchmarks/search_quality.py).

Optuna's estimator takes at most its 25 best trials for good ones, however many there are, and compares them with all
the others. So the best and the latest stand for the whole history: the good ones are the same, and the cost of a
suggestion does not grow with the search.
"""

from __future__ import annotations

import warnings

import numpy as np
import optuna
from optuna.samplers import TPESampler
from optuna.trial import TrialState

from mitorch_service.search.base import History, Sampler, Study, seed_of
from mitorch_service.search.samplers.distributions import distribution, from_distribution, suggested
from mitorch_service.search.samplers.gp import first_trials
from mitorch_service.search.samplers.observations import observe_all
from mitorch_service.search.samplers.optuna_study import frozen_trial, new_study
from mitorch_service.search.samplers.pareto import ranked
from mitorch_service.search.samplers.qmc import sobol
from mitorch_service.search.samplers.unit_cube import Matrix, UnitCube
from mitorch_service.search.space.expressions import Choice, Range
from mitorch_service.search.space.space import Point

BEST, LATEST = 64, 192  # ended trials that Optuna is told


class TpeSampler(Sampler):
    """Begins with points of a Sobol sequence; running trials count as bad ones (a constant liar)."""

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        self._keys = {id(parameter.expression): parameter.key for parameter in study.space.parameters}
        self._distributions = {p.key: distribution(p.expression) for p in study.space.parameters}
        self._width = UnitCube(study.space).width

    def propose(self, history: History, number: int, salt: int) -> Point:
        points, losses = observe_all(history)
        if len(points) < first_trials(self.study, self._width):
            row = sobol(self._width, self.study.seed, number + salt * self.study.max_trials)
            return UnitCube(self.study.space).point(row)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # `group`
            return self._ask(self._told(history, points, losses), seed_of(self.study, number, salt))

    def _told(self, history: History, points: list[Point], losses: Matrix) -> optuna.Study:
        """A study with the ended trials, made once for a history, and with those that run by now."""
        space = self.study.space
        if "tpe" not in history.memory:
            study = new_study(losses.shape[1])
            study.add_trials([frozen_trial(space, points[index], losses[index].tolist()) for index in _chosen(losses)])
            history.memory["tpe"], history.memory["tpe running"] = study, 0
        told: optuna.Study = history.memory["tpe"]
        for point in history.running[history.memory["tpe running"] :]:
            told.add_trial(frozen_trial(space, point, None))
        history.memory["tpe running"] = len(history.running)
        return told

    def _ask(self, study: optuna.Study, seed: int) -> Point:
        together = len(self.study.directions) == 1
        study.sampler = TPESampler(seed=seed, multivariate=together, group=together, constant_liar=True)
        trial = study.ask()

        def draw(expression: Choice | Range, _: str) -> float:
            key = self._keys[id(expression)]
            return from_distribution(expression, suggested(trial, key, self._distributions[key]))

        point = self.study.space.drawn(draw)
        study.tell(trial, state=TrialState.FAIL)  # the history says what becomes of it
        return point


def _chosen(losses: Matrix) -> list[int]:
    """The places of the best and of the latest others, in order."""
    if len(losses) <= BEST + LATEST:
        return list(range(len(losses)))
    single = losses.shape[1] == 1
    best = np.argsort(losses[:, 0], kind="stable")[:BEST].tolist() if single else ranked(losses, BEST)
    others = sorted(set(range(len(losses))) - set(best))
    return sorted([*best, *others[-LATEST:]])
