"""How good the search is for equal budgets, beside plain Optuna and random search in the same run.

    python -m tests.benchmarks.search_quality [--algorithm auto tpe …] [--seeds 20] [--first-seed 0] [--parallel 1 8]
        [--function branin hartmann6 conditional digits epochs speed zdt1 trade]

Prints one JSON object a line. Our searches go through passes of the controller, on a store in memory. branin,
hartmann6, conditional, digits (final log loss of recorded trainings): median regret after 64 trials. epochs: those of
all workers together until a validation accuracy of 0.97 is seen on the recorded trainings, at most 6,000. zdt1, trade
(a loss against a cost, conditional): for two objectives, the share of the best front's hypervolume after some trials.
speed: milliseconds a suggestion with n finished trials.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from tests.benchmarks.search_expansion import Ours
from tests.benchmarks.search_fronts import FRONTS, shares_after
from tests.benchmarks.search_functions import FUNCTIONS, Digits
from tests.benchmarks.search_peers import FRONT_PEERS, PEERS, optuna_milliseconds
from tests.benchmarks.search_simulation import (
    MOST_EPOCHS,
    Settings,
    Simulated,
    Ways,
    epochs_to_target,
    regret_after,
    suggestion_milliseconds,
)

TRIALS, FRONT_TRIALS = 64, (32, 64, 128)
OURS = ("auto", "random", "qmc", "tpe", "gp", "cmaes")
OF_SEVERAL = ("auto", "random", "qmc", "tpe", "nsga2")
Make = Callable[[Settings], Simulated]


def line(**figures: Any) -> None:
    """One figure."""
    print(json.dumps(figures), flush=True)


def regrets(name: str, makers: dict[str, Make], seeds: range, parallel: int) -> None:
    """Median, mean and worst of the regret after TRIALS trials."""
    function = FUNCTIONS[name]()
    for algorithm, make in makers.items():
        begin = time.perf_counter()
        searches = (make(Settings(function.space, seed, parallel, TRIALS)) for seed in seeds)
        found = [
            regret_after(search, function, TRIALS, parallel, seed) for seed, search in zip(seeds, searches, strict=True)
        ]
        line(
            name=f"{name}: regret after {TRIALS} trials",
            algorithm=algorithm,
            parallel=parallel,
            seeds=len(seeds),
            first_seed=seeds[0],
            median=round(statistics.median(found), 6),
            mean=round(statistics.fmean(found), 6),
            worst=round(max(found), 6),
            seconds_a_search=round((time.perf_counter() - begin) / len(seeds), 2),
        )


def hypervolumes(name: str, makers: dict[str, Make], seeds: range, parallel: int) -> None:
    """Median and least share of the best front's hypervolume, of searches for two objectives."""
    function = FRONTS[name]()
    for algorithm, make in makers.items():
        begin = time.perf_counter()
        both: Ways = ("minimize", "minimize")
        searches = (make(Settings(function.space, seed, parallel, FRONT_TRIALS[-1], both)) for seed in seeds)
        found = [
            shares_after(search, function, FRONT_TRIALS, parallel, seed)
            for seed, search in zip(seeds, searches, strict=True)
        ]
        seconds = round((time.perf_counter() - begin) / len(seeds), 2)
        for trials, shares in zip(FRONT_TRIALS, zip(*found, strict=True), strict=True):
            line(
                name=f"{name}: share of the best front's hypervolume after {trials} trials",
                algorithm=algorithm,
                parallel=parallel,
                seeds=len(seeds),
                first_seed=seeds[0],
                median=round(statistics.median(shares), 4),
                least=round(min(shares), 4),
                seconds_a_search=seconds,
            )


def epochs(makers: dict[str, Make], stoppings: list[str], seeds: range, parallel: int) -> None:
    """Median and worst epochs until the target is seen."""
    digits = Digits()
    for algorithm, make in makers.items():
        for stopping in stoppings:
            begin, found = time.perf_counter(), []
            for seed in seeds:
                settings = Settings(digits.space, seed, parallel, MOST_EPOCHS, "maximize", digits.max_epochs, stopping)
                found.append(epochs_to_target(make(settings), digits, parallel, seed))
            line(
                name=f"digits: epochs until {digits.target} is seen",
                algorithm=algorithm,
                early_stopping=stopping,
                parallel=parallel,
                seeds=len(seeds),
                first_seed=seeds[0],
                median=statistics.median(found),
                worst=max(found),
                all=sorted(found),
                seconds_a_search=round((time.perf_counter() - begin) / len(seeds), 2),
            )


def main() -> None:
    """Reads the arguments and prints the figures asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--algorithm", nargs="+", help="Default: all that can.")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--parallel", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--function", nargs="+", default=[*FUNCTIONS, "epochs", "speed", *FRONTS])
    parser.add_argument("--stopping", nargs="+", default=["none", "asha", "median"])
    given = parser.parse_args()
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    for name in given.function:
        peers, ours = (FRONT_PEERS, OF_SEVERAL) if name in FRONTS else (PEERS, OURS)
        chosen = given.algorithm or [*ours, *peers]
        makers: dict[str, Make] = {one: peers.get(one) or partial(Ours, one) for one in chosen}
        for parallel in given.parallel if name != "speed" else [1]:
            if name == "speed":
                speed(makers)
            elif name in FRONTS:
                hypervolumes(name, makers, seeds, parallel)
            elif name == "epochs":
                epochs(makers, given.stopping, seeds, parallel)
            else:
                regrets(name, makers, seeds, parallel)


def speed(makers: dict[str, Make]) -> None:
    """Milliseconds of the first suggestion of a pass and of those after it; of Optuna's TPE in memory and on SQLite."""
    for finished in (100, 1000, 10_000):
        for algorithm in [name for name in makers if name not in PEERS]:
            speed_line(algorithm, finished, suggestion_milliseconds(algorithm, finished))
        if "optuna-tpe" in makers:
            speed_line("optuna-tpe", finished, optuna_milliseconds(finished))
            with tempfile.TemporaryDirectory() as folder:
                figures = optuna_milliseconds(finished, f"sqlite:///{folder}/study.db")
            speed_line("optuna-tpe on SQLite", finished, figures)


def speed_line(algorithm: str, finished: int, figures: dict[str, float]) -> None:
    """One figure of `speed`."""
    line(name="milliseconds a suggestion", algorithm=algorithm, finished=finished, **figures)


if __name__ == "__main__":
    main()
