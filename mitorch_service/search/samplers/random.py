"""Random search: each trial is sampled from the job's seed and the trial's number alone."""

from __future__ import annotations

import hashlib
import math
import random

from pydantic import JsonValue

from mitorch_service.search.base import History, Sampler
from mitorch_service.search.space.expressions import Choice, Range
from mitorch_service.search.space.space import Config, Point, Space


def suggest(space: Space, seed: int, number: int) -> tuple[Config, dict[str, JsonValue]]:
    """Returns config and parameters of trial `number`, which depend on seed and number alone. Values are uniform over
    options, over a range, or over the logarithm of a range."""
    return space.build(lambda expression, name: draw(expression, f"{seed}/{number}/{name}"))


def random_point(space: Space, key: str) -> Point:
    """Returns a point that depends on the key alone, which is f"{seed}/{number}" for the trials of a job."""
    return space.drawn(lambda expression, name: draw(expression, f"{key}/{name}"))


def draw(expression: Choice | Range, key: str) -> float:
    """Returns an option's index, or a number, that depends on the key alone."""
    generator = random.Random(hashlib.sha256(key.encode()).digest())
    if isinstance(expression, Choice):
        return generator.randrange(len(expression.options))
    if expression.integer and not expression.log:
        step = int(expression.step or 1)
        return expression.low + step * generator.randrange(int(expression.high - expression.low) // step + 1)
    if expression.step is not None:
        steps = math.floor((expression.high - expression.low) / expression.step + 1e-9)
        return expression.low + expression.step * generator.randrange(steps + 1)
    # integers get half a step more at both ends, so that the ends are as frequent as the others
    room = 0.5 if expression.integer else 0.0
    low, high = expression.low - room, expression.high + room
    if expression.log:
        return math.exp(generator.uniform(math.log(low), math.log(high)))
    return generator.uniform(low, high)


class RandomSampler(Sampler):
    """Gives trial k a point that depends on seed and k only; in a finite space also on the points taken before."""

    def propose(self, history: History, number: int, salt: int) -> Point:
        key = f"{self.study.seed}/{number}" + (f"/again {salt}" if salt else "")
        return random_point(self.study.space, key)
