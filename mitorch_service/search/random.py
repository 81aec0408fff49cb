"""Random search: each trial drawn by itself, from the job's seed and the trial's number alone."""

from __future__ import annotations

import hashlib
import math
import random
from typing import Any

from mitorch_service.search.space import Choice, Range, Space


def suggest(space: Space, seed: int, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Config and parameters of trial `number`: the same whoever asks, whenever, in whatever order. Values are uniform
    over options, over a range, or over the logarithm of a range."""

    def draw(parameter: Choice | Range, name: str) -> float:
        generator = random.Random(hashlib.sha256(f"{seed}/{number}/{name}".encode()).digest())
        if isinstance(parameter, Choice):
            return generator.randrange(len(parameter.options))
        if parameter.integer and not parameter.log:
            step = int(parameter.step or 1)
            return parameter.low + step * generator.randrange(int(parameter.high - parameter.low) // step + 1)
        if parameter.step is not None:
            steps = math.floor((parameter.high - parameter.low) / parameter.step + 1e-9)
            return parameter.low + parameter.step * generator.randrange(steps + 1)
        # whole numbers get half a step of room on both sides, so that the ends come up as often as the others
        room = 0.5 if parameter.integer else 0.0
        low, high = parameter.low - room, parameter.high + room
        if parameter.log:
            return math.exp(generator.uniform(math.log(low), math.log(high)))
        return generator.uniform(low, high)

    return space.build(draw)
