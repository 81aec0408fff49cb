"""How long a search will take, before it begins.

Epochs: by its own early stopping, on trials that were made up. Each has a quality of its own and keeps its place among
the others from its first epoch to its last, so a rule errs as little as it can. A trial always improves, so that
patience, which looks at one trial alone, ends none. Hours: by what an epoch took in earlier trainings of the same
models on the same data set.
"""

from __future__ import annotations

import math
import random
import statistics
from bisect import bisect_left, insort
from collections.abc import Iterable, Set
from datetime import datetime

from mitorch_service.controller.observe.cost import training_cost
from mitorch_service.models.early_stopping import EarlyStopping
from mitorch_service.models.training import Training
from mitorch_service.search.stopping.base import Standing, Stopper
from mitorch_service.search.stopping.promotion import Ladder, Promotion
from mitorch_service.search.stopping.registry import stopper

_MADE_UP = 200  # trials at most: more cost time and give the same share
_MOST_EPOCHS = 300  # of each


def predicted_share(rule: EarlyStopping | None, max_epochs: int, trials: int) -> float:
    """The share of all trials' epochs that is run."""
    if rule is None or not 1 < max_epochs <= _MOST_EPOCHS:
        return 1.0
    chosen, rungs = stopper(rule.rule, max_epochs, **rule.options()), dict[tuple[int, int], list[float]]()
    count, draw = min(trials, _MADE_UP), random.Random(0)
    spent = sum(_epochs(chosen, number, draw.random(), max_epochs, rungs) for number in range(count))
    return spent / (count * max_epochs)


def predicted_promotion_share(rule: EarlyStopping, max_epochs: int, trials: int) -> float:
    """The same where only the best of each rung go on, one trial running at a time."""
    ladder, draw, whole, spent = Ladder(max_epochs, rule.min_epochs, rule.factor), random.Random(0), 0, 0
    count, qualities, at = min(trials, _MADE_UP), list[float](), dict[int, int]()
    while True:
        going_on = ladder.promote()
        if going_on is None and len(qualities) < count:
            going_on = Promotion(len(qualities), ladder.goal())
            qualities.append(draw.random())
        going_on = going_on or ladder.promote_last(whole)
        if going_on is None:
            return spent / (count * max_epochs)
        spent += going_on.epochs - at.get(going_on.number, 0)
        at[going_on.number] = going_on.epochs
        if going_on.epochs < max_epochs:
            ladder.pause(going_on.number, going_on.epochs, qualities[going_on.number])
        else:
            whole += 1


def hours_an_epoch(earlier: Iterable[Training], models: Set[str], now: datetime) -> float | None:
    """Node hours: the median of what trainings of these models took; None where there is none."""
    taken = [
        training_cost(training.attempts, now).node_hours / training.progress.epoch
        for training in earlier
        if training.progress is not None and training.progress.epoch > 0 and model_name(training) in models
    ]
    return statistics.median(taken) if taken else None


def model_name(training: Training) -> str | None:
    """What its config calls its model; None of a script."""
    model = training.config.get("model")
    name = model.get("name") if isinstance(model, dict) else None
    return name if isinstance(name, str) else None


def _epochs(
    rule: Stopper, number: int, quality: float, max_epochs: int, rungs: dict[tuple[int, int], list[float]]
) -> int:
    """After how many epochs a trial ends."""
    losses: list[float] = []
    for epochs in range(1, max_epochs):
        losses.append(quality + 1 / epochs)
        question = rule.question(number, losses)
        if question is None:
            continue
        others = rungs.setdefault((question.bracket, question.epochs), [])
        insort(others, question.loss)
        better = bisect_left(others, question.loss) if math.isfinite(question.loss) else len(others)
        if rule.stops(question, Standing(len(others), better)):
            return epochs
    return max_epochs
