"""NSGA-II (Deb et al., A Fast and Elitist Multiobjective Genetic Algorithm, 2002), with conditional parameters."""

from __future__ import annotations

import random

from mitorch_service.search.base import History, Sampler, seed_of
from mitorch_service.search.samplers.observations import observe_all
from mitorch_service.search.samplers.pareto import ranked
from mitorch_service.search.samplers.random import draw, random_point
from mitorch_service.search.space.expressions import Choice, Range
from mitorch_service.search.space.space import Point

POPULATION = 50


class Nsga2Sampler(Sampler):
    """Samples at random until there is a population; then crosses two of the best ended trials."""

    def propose(self, history: History, number: int, salt: int) -> Point:
        points, losses = observe_all(history)
        first = self.study.initial_trials or min(POPULATION, max(self.study.max_trials // 4, 4))
        if len(points) < first:
            return random_point(self.study.space, f"{self.study.seed}/{number}/{salt}")
        if "parents" not in history.memory:
            history.memory["parents"] = ranked(losses, POPULATION)
        parents: list[int] = history.memory["parents"]
        generator = random.Random(seed_of(self.study, number, salt))
        return self._child(points[_winner(parents, generator)], points[_winner(parents, generator)], generator)

    def _child(self, one: Point, other: Point, generator: random.Random) -> Point:
        """Takes each parameter from either parent that has it; mutates one of them, on average, to a random value. The
        parameter of another branch may have the same name: its value may be outside of this one's range."""
        mutation = 1 / max(len(one), 1)
        space = self.study.space
        parents = [space.by_key(parent) for parent in (one, other)]

        def inherit(expression: Choice | Range, name: str) -> float:
            key = space.keys[id(expression)]
            values = [parent[key] for parent in parents if key in parent]
            if not values or generator.random() < mutation:
                return draw(expression, f"{generator.random()}/{name}")
            return generator.choice(values)

        return space.point_from(inherit)


def _winner(parents: list[int], generator: random.Random) -> int:
    """Binary tournament: the better ranked of two random parents."""
    return parents[min(generator.randrange(len(parents)), generator.randrange(len(parents)))]
