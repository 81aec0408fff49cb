"""Searches for two objectives, both minimized: functions, and how much of the best front's area one has found."""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterable
from typing import Any

import numpy as np

from tests.benchmarks.search_functions import Conditional
from tests.benchmarks.search_simulation import Simulated

Pair = tuple[float, float]


class Zdt1:
    """Six dimensions (Zitzler, Deb, Thiele 2000); on the best front all but the first are 0."""

    space: dict[str, Any] = {f"x{i}": {"_uniform": [0, 1]} for i in range(6)}
    reference = (1.0, 4.0)

    def losses(self, config: dict[str, Any]) -> Pair:
        first, *others = (config[f"x{i}"] for i in range(6))
        return self._losses(first, 1 + 9 * sum(others) / len(others))

    def best(self) -> list[Pair]:
        """Points of the best front."""
        return [self._losses(float(first), 1.0) for first in np.linspace(0, 1, 2000)]

    def _losses(self, first: float, height: float) -> Pair:
        return float(first), float(height * (1 - (first / height) ** 0.5))


class Trade:
    """The conditional function against a cost of depth and optimizer."""

    space = Conditional.space
    reference = (1.0, 1.2)

    def losses(self, config: dict[str, Any]) -> Pair:
        cost = 0.1 * config["depth"] + 0.3 * (config["optimizer"]["name"] == "adam")
        return Conditional().regret(config), float(cost)

    def best(self) -> list[Pair]:
        """Each depth with each optimizer at its best."""
        adam = {"name": "adam", "beta": 0.9, "eps": 1e-7}, 1e-3
        sgd = {"name": "sgd", "momentum": 0.8, "nesterov": True}, 1e-1
        return [self.losses({"optimizer": o, "lr": rate, "depth": d}) for d in range(1, 9) for o, rate in (adam, sgd)]


FRONTS: dict[str, Any] = {"zdt1": Zdt1, "trade": Trade}


def area(pairs: Iterable[Pair], reference: Pair) -> float:
    """Returns the hypervolume of two objectives: the area that the pairs dominate, up to the reference point."""
    found, least = 0.0, reference[1]
    for first, second in sorted(pairs):
        if first < reference[0] and second < least:
            found += (reference[0] - first) * (least - second)
            least = second
    return found


def shares_after(search: Simulated, function: Any, trials: Iterable[int], parallel: int, seed: int) -> list[float]:
    """The share of the best front's area after so many trials each, of which `parallel` run at a time."""
    clock, running, pairs = random.Random(seed), list[tuple[float, int, Pair]](), list[Pair]()
    best, shares = area(function.best(), function.reference), []
    for count in trials:
        while len(pairs) < count:
            now = 0.0
            if len(pairs) >= parallel:
                now, number, pair = heapq.heappop(running)
                search.end(number, pair)
            number, config = search.begin()
            pairs.append(function.losses(config))
            heapq.heappush(running, (now + clock.uniform(0.9, 1.1), number, pairs[-1]))
        shares.append(area(pairs, function.reference) / best)
    return shares
