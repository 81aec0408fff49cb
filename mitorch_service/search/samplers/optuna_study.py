"""Converts trials to an Optuna study in memory, for Optuna's samplers and evaluators."""

from __future__ import annotations

from collections.abc import Sequence

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from mitorch_service.models.search.objectives import Direction
from mitorch_service.search.samplers.distributions import distribution, to_distribution
from mitorch_service.search.space.space import Point, Space


def new_study(objectives: int, directions: Sequence[Direction] = ()) -> optuna.Study:
    """Returns an empty study of `objectives` values, which are minimized unless `directions` says otherwise, without
    Optuna's log line on stderr."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        return optuna.create_study(directions=list(directions) or ["minimize"] * objectives)
    finally:
        optuna.logging.set_verbosity(verbosity)


def frozen_trial(space: Space, point: Point, losses: Sequence[float] | None) -> FrozenTrial:
    """Returns an Optuna trial with these losses, one for each objective; None: a running trial."""
    parameters: dict[str, float] = {}
    distributions: dict[str, BaseDistribution] = {}
    for parameter in space.active(point):
        parameters[parameter.key] = to_distribution(parameter.expression, point[parameter.name])
        distributions[parameter.key] = distribution(parameter.expression)
    state = TrialState.RUNNING if losses is None else TrialState.COMPLETE
    return create_trial(state=state, params=parameters, distributions=distributions, values=losses)
