"""The importance of each parameter: the share of the objective's variance that it explains (fANOVA, Hutter et al., An
Efficient Approach for Assessing Hyperparameter Importance, 2014).

Computed by Optuna, which needs scikit-learn for it; of a conditional parameter, among the trials that have it.
"""

from __future__ import annotations

import importlib.util
import warnings

import optuna
from optuna.importance import FanovaImportanceEvaluator, get_param_importances

from mitorch_service.errors import MissingExtra
from mitorch_service.search.base import History, Study
from mitorch_service.search.samplers.observations import observe
from mitorch_service.search.samplers.optuna_study import frozen_trial, new_study
from mitorch_service.search.space.space import Parameter

LEAST_TRIALS = 4
MOST_TRIALS = 1000  # the latest: the cost of the random forest grows with them


def importance(history: History) -> dict[str, float]:
    """Returns the share (0 to 1) of each parameter that varies, by key, the highest first; empty with too few trials.
    Raises MissingExtra without scikit-learn."""
    if importlib.util.find_spec("sklearn") is None:
        raise MissingExtra("scikit-learn", "search")
    shares: dict[str, float] = {}
    for conditions, group in _groups(history.study).items():
        shares |= _shares(history, {key for key, _ in conditions}, group)
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _groups(study: Study) -> dict[tuple[tuple[str, int], ...], list[Parameter]]:
    groups: dict[tuple[tuple[str, int], ...], list[Parameter]] = {}
    for parameter in study.space.parameters:
        if parameter.span > 1:
            groups.setdefault(parameter.conditions, []).append(parameter)
    return groups


def _shares(history: History, above: set[str], group: list[Parameter]) -> dict[str, float]:
    """The shares of the parameters of one group, which are always active together."""
    seen, keys = observe(history), {parameter.key for parameter in group}
    study, space = new_study(1), history.study.space
    pairs = list(zip(seen.points, seen.losses.tolist(), strict=True))[-MOST_TRIALS:]
    trials = [frozen_trial(space, point, (loss,)) for point, loss in pairs]
    trials = [trial for trial in trials if keys <= set(trial.params)]
    if len(trials) < LEAST_TRIALS or len({trial.values[0] for trial in trials}) < 2:
        return {}
    study.add_trials(trials)
    everywhere = set.intersection(*(set(trial.params) for trial in trials)) - above
    varying = sorted(key for key in everywhere if len({trial.params[key] for trial in trials}) > 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        found = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0), params=varying)
    return {key: float(share) for key, share in found.items() if key in keys}
