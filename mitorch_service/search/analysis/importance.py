"""The importance of each parameter: the share of the objective's variance that it explains (fANOVA, Hutter et al., An
Efficient Approach for Assessing Hyperparameter Importance, 2014).

Computed by Optuna, which needs scikit-learn for it, in one forest for all parameters, so that the shares add up to 1.
Where a conditional parameter is inactive, the trial counts as having the middle of its range, as in section 6 of that
paper (a default value): of shares within each branch alone, nobody could say which is of what whole.
"""

from __future__ import annotations

import importlib.util
import random
import time
import warnings
from dataclasses import dataclass

import optuna
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, create_trial

from mitorch_service.errors import MissingExtra
from mitorch_service.search.base import History, Study
from mitorch_service.search.samplers.distributions import distribution, to_distribution
from mitorch_service.search.samplers.observations import Observations, observe
from mitorch_service.search.samplers.optuna_study import frozen_trial, new_study
from mitorch_service.search.samplers.unit_cube import INACTIVE
from mitorch_service.search.space.expressions import Choice, Range
from mitorch_service.search.space.space import Space

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
        for key, share in _shares(history.study, _resampled(seen, draw), _RESAMPLE_TREES).items():
            found.setdefault(key, []).append(share)
        count += 1
    spread = {key: Share(sum(all) / len(all), min(all), max(all)) for key, all in found.items()}
    return dict(sorted(spread.items(), key=lambda item: -item[1].share)), count


def importance(history: History) -> dict[str, float]:
    """Returns the share (0 to 1) of each parameter that varies, by key, the highest first; empty with too few trials.
    Raises MissingExtra without scikit-learn."""
    if importlib.util.find_spec("sklearn") is None:
        raise MissingExtra("scikit-learn", "search")
    return _shares(history.study, observe(history))


def _resampled(seen: Observations, draw: random.Random) -> Observations:
    last = range(len(seen.points))[-MOST_TRIALS:]
    chosen = draw.choices(last, k=min(len(last), _MOST_RESAMPLED)) if last else []
    return Observations([seen.points[index] for index in chosen], seen.losses[chosen])


def _shares(study: Study, seen: Observations, trees: int = 64) -> dict[str, float]:
    """The shares of the parameters that vary in enough trials, the highest first."""
    points, losses = seen.points[-MOST_TRIALS:], seen.losses[-MOST_TRIALS:].tolist()
    own = [frozen_trial(study.space, point, (loss,)) for point, loss in zip(points, losses, strict=True)]
    keys = sorted({parameter.key for parameter in study.space.parameters})
    varying = [key for key in keys if _varies([trial.params[key] for trial in own if key in trial.params])]
    if not varying or len(set(losses)) < 2:
        return {}
    optuna_study = new_study(1)
    optuna_study.add_trials([_completed(trial, study.space) for trial in own])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        evaluator = FanovaImportanceEvaluator(n_trees=trees, seed=0)
        found = get_param_importances(optuna_study, evaluator=evaluator, params=varying)
    return {key: float(share) for key, share in found.items()}


def _varies(values: list[object]) -> bool:
    return len(values) >= LEAST_TRIALS and len(set(values)) > 1


def _completed(trial: FrozenTrial, space: Space) -> FrozenTrial:
    """The trial with the middle value of each parameter that it does not have."""
    missing = {p.key: p.expression for p in space.parameters if p.key not in trial.params}
    params = {key: to_distribution(one, _middle(one)) for key, one in missing.items()}
    distributions = {key: distribution(one) for key, one in missing.items()}
    return create_trial(
        params=params | trial.params, distributions=distributions | trial.distributions, values=trial.values
    )


def _middle(expression: Choice | Range) -> float:
    return len(expression.options) // 2 if isinstance(expression, Choice) else expression.from_unit(INACTIVE)
