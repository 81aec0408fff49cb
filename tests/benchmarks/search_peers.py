"""Plain Optuna, driven as its users do, as the peer of the same run."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import optuna
from optuna.pruners import BasePruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, CmaEsSampler, NSGAIISampler, RandomSampler, TPESampler

from tests.benchmarks.search_simulation import Simulated, Ways

optuna.logging.set_verbosity(optuna.logging.ERROR)


class Optuna(Simulated):
    """A study in memory, asked and told."""

    def __init__(self, sampler: BaseSampler, pruner: BasePruner, space: dict[str, Any], direction: Ways) -> None:
        self._space = space
        ways = direction if isinstance(direction, tuple) else (direction,)
        self._study = optuna.create_study(sampler=sampler, pruner=pruner, directions=ways)
        self._prunes = not isinstance(pruner, NopPruner)
        self._trials: dict[int, optuna.Trial] = {}

    def begin(self) -> tuple[int, dict[str, Any]]:
        trial = self._study.ask()
        self._trials[trial.number] = trial
        return trial.number, _drawn(trial, self._space, "")

    def report(self, number: int, epochs: int, value: float) -> None:
        self._trials[number].report(value, epochs)

    def stops(self, number: int) -> bool | None:
        return self._trials[number].should_prune() if self._prunes else None

    def end(self, number: int, value: float | tuple[float, ...], pruned: bool = False) -> None:
        if pruned:
            self._study.tell(self._trials.pop(number), state=optuna.trial.TrialState.PRUNED)
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


def _peer(sampler: Callable[[int], BaseSampler], pruner: Callable[[], BasePruner] = NopPruner) -> Any:
    return lambda space, seed, direction: Optuna(sampler(seed), pruner(), space, direction)


PEERS: dict[str, Any] = {
    "optuna-random": _peer(lambda seed: RandomSampler(seed=seed)),
    "optuna-tpe": _peer(lambda seed: TPESampler(seed=seed)),
    "optuna-cmaes": _peer(lambda seed: CmaEsSampler(seed=seed)),
    "optuna-random+sha": _peer(lambda seed: RandomSampler(seed=seed), SuccessiveHalvingPruner),
    "optuna-tpe+sha": _peer(lambda seed: TPESampler(seed=seed), SuccessiveHalvingPruner),
    "optuna-tpe+median": _peer(lambda seed: TPESampler(seed=seed), MedianPruner),
}
FRONT_PEERS: dict[str, Any] = {
    "optuna-random": PEERS["optuna-random"],
    "optuna-tpe": PEERS["optuna-tpe"],
    "optuna-nsga2": _peer(lambda seed: NSGAIISampler(seed=seed)),
}


def optuna_milliseconds(finished: int, count: int = 5) -> dict[str, float]:
    """Optuna's own TPE on a study in memory."""
    study = optuna.create_study(sampler=TPESampler(seed=0))
    noise = random.Random(0)
    space = {f"x{i}": optuna.distributions.FloatDistribution(0, 1) for i in range(6)}
    for _ in range(finished):
        parameters = {name: noise.random() for name in space}
        study.add_trial(optuna.trial.create_trial(params=parameters, distributions=dict(space), value=noise.random()))
    begin = time.perf_counter()
    for _ in range(count):
        study.tell(study.ask(dict(space)), noise.random())
    return {"mean": round(1e3 * (time.perf_counter() - begin) / count, 2)}
