"""Plain Optuna, driven as its users do, as the peer of the same run."""

from __future__ import annotations

import importlib.util
import random
import time
from collections.abc import Callable
from typing import Any

import optuna
from optuna.pruners import BasePruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import TrialState, create_trial

from tests.benchmarks.search_simulation import Settings, Simulated

optuna.logging.set_verbosity(optuna.logging.ERROR)


class Optuna(Simulated):
    """A study in memory, asked and told."""

    def __init__(self, sampler: BaseSampler, pruner: BasePruner, settings: Settings) -> None:
        self._space = settings.space
        self._study = optuna.create_study(sampler=sampler, pruner=pruner, directions=settings.directions)
        self._trials: dict[int, optuna.Trial] = {}

    def begin(self) -> tuple[int, dict[str, Any]]:
        trial = self._study.ask()
        self._trials[trial.number] = trial
        return trial.number, _drawn(trial, self._space, "")

    def epoch_ended(self, number: int, epoch: int, value: float) -> bool:
        self._trials[number].report(value, epoch)
        return self._trials[number].should_prune()

    def end(self, number: int, value: float | tuple[float, ...], pruned: bool = False) -> None:
        if pruned:
            self._study.tell(self._trials.pop(number), state=TrialState.PRUNED)
        else:
            self._study.tell(self._trials.pop(number), value)


def _drawn(trial: optuna.Trial, node: Any, path: str) -> Any:
    if not isinstance(node, dict):
        return node
    kind = next(iter(node), "")
    if kind == "_choice":
        options = node[kind]
        index = trial.suggest_categorical(path, list(range(len(options))))
        return _drawn(trial, options[index], path)
    if kind.startswith("_"):
        low, high = node[kind]
        ask = trial.suggest_int if kind.endswith("int") else trial.suggest_float
        return ask(path, low, high, log=kind.startswith("_log"))
    return {key: _drawn(trial, item, f"{path}.{key}") for key, item in node.items()}


_PRUNERS: dict[str, Callable[[], BasePruner]] = {
    "none": NopPruner,
    "asha": SuccessiveHalvingPruner,
    "median": MedianPruner,
}


def _peer(sampler: Callable[[int], BaseSampler]) -> Callable[[Settings], Simulated]:
    return lambda settings: Optuna(sampler(settings.seed), _PRUNERS[settings.stopping](), settings)


PEERS: dict[str, Callable[[Settings], Simulated]] = {
    "optuna-random": _peer(lambda seed: RandomSampler(seed=seed)),
    "optuna-tpe": _peer(lambda seed: TPESampler(seed=seed)),
    "optuna-cmaes": _peer(lambda seed: CmaEsSampler(seed=seed)),
}
if importlib.util.find_spec("torch"):  # which Optuna's Gaussian process needs
    PEERS["optuna-gp"] = _peer(lambda seed: GPSampler(seed=seed))
FRONT_PEERS: dict[str, Callable[[Settings], Simulated]] = {
    "optuna-random": PEERS["optuna-random"],
    "optuna-tpe": PEERS["optuna-tpe"],
    "optuna-nsga2": _peer(lambda seed: NSGAIISampler(seed=seed)),
}


def optuna_milliseconds(finished: int, storage: str | None = None, count: int = 5) -> dict[str, float]:
    """Optuna's own TPE on a study in memory, or in a database."""
    study = optuna.create_study(sampler=TPESampler(seed=0), storage=storage)
    noise = random.Random(0)
    space = {f"x{i}": optuna.distributions.FloatDistribution(0, 1) for i in range(6)}
    points = [{name: noise.random() for name in space} for _ in range(finished)]
    study.add_trials([create_trial(params=point, distributions=dict(space), value=noise.random()) for point in points])
    study.tell(study.ask(dict(space)), noise.random())  # imports
    begin = time.perf_counter()
    for _ in range(count):
        study.tell(study.ask(dict(space)), noise.random())
    return {"mean": round(1e3 * (time.perf_counter() - begin) / count, 2)}
