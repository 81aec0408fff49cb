"""The importance of each parameter: the share of the objective's variance that it explains (fANOVA, Hutter et al., An
Efficient Approach for Assessing Hyperparameter Importance, 2014).

Computed by Optuna, which needs scikit-learn for it; of a conditional parameter, among the trials that have it.
"""

from __future__ import annotations

import importlib.util
import random
import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass

import optuna
from optuna.importance import FanovaImportanceEvaluator, get_param_importances

from mitorch_service.errors import MissingExtra
from mitorch_service.search.base import History, Study
from mitorch_service.search.samplers.observations import Observations, observe
from mitorch_service.search.samplers.optuna_study import frozen_trial, new_study
from mitorch_service.search.space.space import Parameter

LEAST_TRIALS = 4
MOST_TRIALS = 1000  # the latest: the cost of the random forest grows with them
RESAMPLES = 10
_LEAST = 3  # resamples
_MOST_RESAMPLED = 200  # trials of a resample
_RESAMPLE_TREES = 16


@dataclass(frozen=True)
class Share:
    """The share of the variation that a parameter explains: its mean over resamples of the trials, and its range."""

    share: float
    low: float
    high: float


def importance_with_spread(history: History, seconds: float) -> tuple[dict[str, Share], int]:
    """Returns the shares over bootstrap resamples (as many trials drawn with replacement, at most 200; Efron 1979),
    the highest first, and how many resamples there was time for: at most RESAMPLES, at least 3, none further begun
    after so many seconds. Quicker than `importance`, whose forests are larger. Raises MissingExtra without
    scikit-learn."""
    if importlib.util.find_spec("sklearn") is None:
        raise MissingExtra("scikit-learn", "search")
    end, seen, draw = time.monotonic() + seconds, observe(history), random.Random(0)
    found: dict[str, list[float]] = {}
    count = 0
    while len(seen.points) >= LEAST_TRIALS and count < RESAMPLES and (count < _LEAST or time.monotonic() < end):
        again = _resampled(seen, draw)
        for conditions, group in _groups(history.study).items():
            above = {key for key, _ in conditions}
            for key, share in _shares(history.study, again, above, group, _RESAMPLE_TREES).items():
                found.setdefault(key, []).append(share)
        count += 1
    spread = {key: Share(sum(all) / len(all), min(all), max(all)) for key, all in found.items()}
    return dict(sorted(spread.items(), key=lambda item: -item[1].share)), count


def importance(history: History) -> dict[str, float]:
    """Returns the share (0 to 1) of each parameter that varies, by key, the highest first; empty with too few trials.
    Raises MissingExtra without scikit-learn."""
    if importlib.util.find_spec("sklearn") is None:
        raise MissingExtra("scikit-learn", "search")
    shares: dict[str, float] = {}
    seen = observe(history)
    for conditions, group in _groups(history.study).items():
        shares |= _shares(history.study, seen, {key for key, _ in conditions}, group)
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _groups(study: Study) -> dict[tuple[tuple[str, int], ...], list[Parameter]]:
    groups: dict[tuple[tuple[str, int], ...], list[Parameter]] = {}
    for parameter in study.space.parameters:
        if parameter.span > 1:
            groups.setdefault(parameter.conditions, []).append(parameter)
    return groups


def _resampled(seen: Observations, draw: random.Random) -> Observations:
    last = range(len(seen.points))[-MOST_TRIALS:]
    chosen = draw.choices(last, k=min(len(last), _MOST_RESAMPLED)) if last else []
    return Observations([seen.points[index] for index in chosen], seen.losses[chosen])


def _shares(
    study: Study, seen: Observations, above: Iterable[str], group: list[Parameter], trees: int = 64
) -> dict[str, float]:
    """The shares of the parameters of one group, which are always active together."""
    keys, space = {parameter.key for parameter in group}, study.space
    optuna_study = new_study(1)
    pairs = list(zip(seen.points, seen.losses.tolist(), strict=True))[-MOST_TRIALS:]
    trials = [frozen_trial(space, point, (loss,)) for point, loss in pairs]
    trials = [trial for trial in trials if keys <= set(trial.params)]
    if len(trials) < LEAST_TRIALS or len({trial.values[0] for trial in trials}) < 2:
        return {}
    optuna_study.add_trials(trials)
    everywhere = set.intersection(*(set(trial.params) for trial in trials)) - set(above)
    varying = sorted(key for key in everywhere if len({trial.params[key] for trial in trials}) > 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        evaluator = FanovaImportanceEvaluator(n_trees=trees, seed=0)
        found = get_param_importances(optuna_study, evaluator=evaluator, params=varying)
    return {key: float(share) for key, share in found.items() if key in keys}
