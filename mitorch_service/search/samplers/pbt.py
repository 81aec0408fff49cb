"""Population based training (Jaderberg et al. 2017): members train side by side; after each step a bad one goes on from
the checkpoint of a good one, with that one's parameters a little changed.

In generations: the members are compared once all have done the step, where the paper lets each go its own way. It
costs waiting for the slowest, and makes what happens follow from the study's seed and the members' losses alone,
whoever asks, and however often. The lineage is what the decisions say.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from mitorch_service.search.base import Study, seed_of
from mitorch_service.search.samplers.random import draw
from mitorch_service.search.space.expressions import Choice, Range
from mitorch_service.search.space.space import Point

_FACTORS = (0.8, 1.25)  # a number is taken times one of these
_ANEW = 0.25  # the share of parameters that are drawn anew, which is the only way in which a choice changes
_STEPS = 10  # unless it is said how long one is

# What a member may change on its way: nothing that its weights or the meaning of its objective depend on.
VARIABLE = (
    "lr_scheduler",
    "optimizer.momentum",
    "optimizer.nesterov",
    "optimizer.betas",
    "optimizer.alpha",
    "optimizer.eps",
    "optimizer.weight_decay",
    "gradient.clip_norm",
    "gradient.clip_value",
    "ema.decay",
    "label_smoothing",
    "augmentation.train",
)


@dataclass(frozen=True)
class Member:
    """A member of the population after a step. Losses: lower is better."""

    number: int
    point: Point
    loss: float


@dataclass(frozen=True)
class Exploit:
    """A member goes on from another's checkpoint: one edge of the lineage."""

    member: int
    parent: int
    point: Point


def population_steps(max_epochs: int, step: int | None) -> list[int]:
    """After which epochs the members are compared; ascending, all before the last. `step` is a tenth of all epochs if
    it is None."""
    step = step or max(max_epochs // _STEPS, 1)
    return list(range(step, max_epochs, step))


def may_vary(name: str) -> bool:
    """Whether a member may change the parameter with this name (a dotted path of the config) on its way."""
    return any(name == one or name.startswith((f"{one}.", f"{one}[", f"{one}:")) for one in VARIABLE)


def exploit(study: Study, members: Sequence[Member], number: int, epochs: int, share: float = 0.25) -> Exploit | None:
    """What member `number` does after so many epochs: None when it goes on as it is. The worst `share` of the
    population, and whoever has no finite loss, copies a member of the best `share`, drawn evenly."""
    order = sorted(members, key=lambda member: (_finite(member.loss), member.number))
    size = min(max(int(len(order) * share), 1), len(order) // 2)
    best = [member for member in order[:size] if math.isfinite(member.loss)]
    worst = {member.number for member in order[len(order) - size :]}
    worst |= {member.number for member in members if not math.isfinite(member.loss)}
    if not best or number not in worst:
        return None
    generator = random.Random(seed_of(study, number, epochs))
    parent = generator.choice(best)
    return Exploit(number, parent.number, explored(study, parent.point, generator))


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
