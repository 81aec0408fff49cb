"""Population based training (Jaderberg et al., Population Based Training of Neural Networks, 2017): members train in
parallel; after each step a bad one resumes from the checkpoint of a good one (exploit), with perturbed parameters of
that one (explore).

Synchronous: the members are compared once all have done the step, while those of the paper do not wait for each other.
That costs waiting for the slowest, but the decisions follow from the study's seed and the members' losses alone.
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

_FACTORS = (0.8, 1.25)  # by one of which a number is multiplied
_RESAMPLED = 0.25  # the share of parameters that are resampled, which is the only way in which a choice changes
_STEPS = 10  # if the length of a step is not given

# Parameters that a member may change during its training: none on which its weights or its objective depend.
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
    """A member that resumes from another's checkpoint: one edge of the lineage."""

    member: int
    parent: int
    point: Point


def population_steps(max_epochs: int, step: int | None) -> list[int]:
    """Returns the epochs after which the members are compared; ascending, all before the last. `step` in epochs; None:
    a tenth of all."""
    step = step or max(max_epochs // _STEPS, 1)
    return list(range(step, max_epochs, step))


def may_vary(name: str) -> bool:
    """Whether a member may change the parameter with this name (a dotted path of the config) during its training."""
    return any(name == one or name.startswith((f"{one}.", f"{one}[", f"{one}:")) for one in VARIABLE)


def exploit(study: Study, members: Sequence[Member], number: int, epochs: int, share: float = 0.25) -> Exploit | None:
    """Returns the decision about member `number` after `epochs`; None: it resumes as it is. The worst `share` of the
    population, and members without a finite loss, copy a random member of the best `share` (the truncation
    selection of Jaderberg et al. 2017)."""
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
    """Returns a perturbed point: each number times 0.8 or 1.25, a quarter of the parameters resampled, and with them
    those that a newly chosen option brings."""
    known = study.space.by_key(point)

    def perturb(expression: Choice | Range, name: str) -> float:
        value = known.get(study.space.keys[id(expression)])
        resampled = generator.random() < _RESAMPLED
        if resampled or value is None:
            return draw(expression, f"{generator.random()}/{name}")
        if isinstance(expression, Choice):
            return value
        moved = value * generator.choice(_FACTORS)
        return min(max(moved, expression.low), expression.high)

    return study.space.point_from(perturb)


def _finite(loss: float) -> float:
    return loss if math.isfinite(loss) else math.inf
