"""TPE (Bergstra et al., Algorithms for Hyper-Parameter Optimization, 2011) from Optuna: multivariate, grouped by the
parameters that are active together; univariate for several objectives, which finds better fronts (measured in
tests/benchmarks/search_quality.py).

Optuna models at most its 25 best trials as good ones, however many there are, and all others as bad ones. So it gets
the best and the latest trials only: the good ones are the same, and the cost of a suggestion is bounded.
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

BEST, LATEST = 64, 192  # ended trials that Optuna gets


class TpeSampler(Sampler):
    """Starts with a Sobol sequence; running trials count as bad ones (Optuna's `constant_liar`)."""

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        self._distributions = {p.key: distribution(p.expression) for p in study.space.parameters}
        self._width = UnitCube(study.space).width

    def propose(self, history: History, number: int, salt: int) -> Point:
        points, losses = observe_all(history)
        if len(points) < first_trials(self.study, self._width):
            row = sobol(self._width, self.study.seed, number + salt * self.study.max_trials)
            return UnitCube(self.study.space).point(row)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # `group`
            return self._ask(self._optuna_study(history, points, losses), seed_of(self.study, number, salt))

    def _optuna_study(self, history: History, points: list[Point], losses: Matrix) -> optuna.Study:
        """A study with the ended trials, created once for a history, and with the running ones."""
        space = self.study.space
        if "tpe" not in history.memory:
            study = new_study(losses.shape[1])
            study.add_trials([frozen_trial(space, points[index], losses[index].tolist()) for index in _chosen(losses)])
            history.memory["tpe"] = study
            history.memory["tpe running"] = 0
        optuna_study: optuna.Study = history.memory["tpe"]
        for point in history.running[history.memory["tpe running"] :]:
            optuna_study.add_trial(frozen_trial(space, point, None))
        history.memory["tpe running"] = len(history.running)
        return optuna_study

    def _ask(self, study: optuna.Study, seed: int) -> Point:
        together = len(self.study.directions) == 1
        study.sampler = TPESampler(seed=seed, multivariate=together, group=together, constant_liar=True)
        trial = study.ask()

        def draw(expression: Choice | Range, _: str) -> float:
            key = self.study.space.keys[id(expression)]
            return from_distribution(expression, suggested(trial, key, self._distributions[key]))

        point = self.study.space.point_from(draw)
        study.tell(trial, state=TrialState.FAIL)  # its state follows from the history
        return point


def _chosen(losses: Matrix) -> list[int]:
    """The indices of the best and of the latest other trials, ascending."""
    if len(losses) <= BEST + LATEST:
        return list(range(len(losses)))
    single = losses.shape[1] == 1
    best = np.argsort(losses[:, 0], kind="stable")[:BEST].tolist() if single else ranked(losses, BEST)
    others = sorted(set(range(len(losses))) - set(best))
    return sorted([*best, *others[-LATEST:]])
