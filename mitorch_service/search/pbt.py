"""Population based training (Jaderberg et al. 2017): members train side by side; at times a bad one goes on from the
checkpoint of a good one, with that one's parameters a little changed.

Pure: the decision follows from the study's seed, the member and its step. The lineage is what the decisions say.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from mitorch_service.search.base import Study, seed_of
from mitorch_service.search.expressions import Choice, Range
from mitorch_service.search.random import draw
from mitorch_service.search.space import Point

_FACTORS = (0.8, 1.25)  # a number is taken times one of these, a choice is drawn anew
_ANEW = 0.25  # the share of parameters that are drawn anew


@dataclass(frozen=True)
class Member:
    """A member of the population after its last step. Losses: lower is better."""

    number: int
    point: Point
    epochs: int
    loss: float


@dataclass(frozen=True)
class Exploit:
    """A member goes on from another's checkpoint: one edge of the lineage."""

    member: int
    parent: int
    epochs: int  # of the parent's checkpoint
    point: Point


def exploit(study: Study, members: Sequence[Member], number: int, step: int, share: float = 0.25) -> Exploit | None:
    """What member `number` does after a step: None when it goes on as it is. The worst `share` of the population copies
    a member of the best `share`, drawn evenly; what has no finite loss is among the worst."""
    order = sorted(members, key=lambda member: (_finite(member.loss), member.number))
    size = min(max(int(len(order) * share), 1), len(order) // 2)
    best = [member for member in order[:size] if math.isfinite(member.loss)]
    if not best or number not in {member.number for member in order[len(order) - size :]}:
        return None
    generator = random.Random(seed_of(study, number, step + 1))
    parent = generator.choice(best)
    return Exploit(number, parent.number, parent.epochs, explored(study, parent.point, generator))


def explored(study: Study, point: Point, generator: random.Random) -> Point:
    """A neighbour of a point: each number times 0.8 or 1.25, a quarter of the parameters drawn anew."""

    def perturb(expression: Choice | Range, name: str) -> float:
        anew = generator.random() < _ANEW
        if anew or name not in point:
            return draw(expression, f"{generator.random()}/{name}")
        if isinstance(expression, Choice):
            return min(int(point[name]), len(expression.options) - 1)
        moved = point[name] * generator.choice(_FACTORS)
        return min(max(moved, expression.low), expression.high)

    return study.space.drawn(perturb)


def _finite(loss: float) -> float:
    return loss if math.isfinite(loss) else math.inf
