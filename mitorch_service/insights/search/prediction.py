"""Predicts how long a search takes.

Epochs: its early stopping is run on simulated trials. Each has a quality of its own and keeps its rank among the others
from its first epoch to its last, so that a rule makes as few mistakes as possible. A trial always improves, so that
patience, which looks at one trial alone, ends none. Hours: the time of an epoch in earlier trainings of the same models
on the same data set.
"""

from __future__ import annotations

import math
import random
import statistics
from bisect import bisect_left, insort
from collections.abc import Iterable, Set
from datetime import datetime

from mitorch_service.controller.observe.cost import training_cost
from mitorch_service.models.config.early_stopping import EarlyStopping
from mitorch_service.models.training import Training
from mitorch_service.search.stopping.base import Standing, Stopper
from mitorch_service.search.stopping.promotion import Ladder, Promotion
from mitorch_service.search.stopping.registry import stopper

_SIMULATED = 200  # trials at most: more cost time and give the same share
_MOST_EPOCHS = 300  # of each


def predicted_share(rule: EarlyStopping | None, max_epochs: int, trials: int) -> float:
    """The share of all trials' epochs that an early-stopping rule lets run, from 0 to 1."""
    if rule is None or not 1 < max_epochs <= _MOST_EPOCHS:
        return 1.0
    chosen = stopper(rule.rule, max_epochs, **rule.options())
    rungs = dict[tuple[int, int], list[float]]()
    draw = random.Random(0)
    count = min(trials, _SIMULATED)
    spent = sum(_epochs(chosen, number, draw.random(), max_epochs, rungs) for number in range(count))
    return spent / (count * max_epochs)


def predicted_promotion_share(rule: EarlyStopping, max_epochs: int, trials: int) -> float:
    """The share that is run if only the best trials of each rung are promoted, one trial running at a time."""
    ladder = Ladder(max_epochs, rule.min_epochs, rule.factor)
    draw = random.Random(0)
    count = min(trials, _SIMULATED)
    qualities: list[float] = []
    epochs_done: dict[int, int] = {}  # by trial
    completed = spent = 0
    while True:
        promoted = ladder.promote()
        if promoted is None and len(qualities) < count:
            promoted = Promotion(len(qualities), ladder.goal())
            qualities.append(draw.random())
        promoted = promoted or ladder.promote_last(completed)
        if promoted is None:
            return spent / (count * max_epochs)
        spent += promoted.epochs - epochs_done.get(promoted.number, 0)
        epochs_done[promoted.number] = promoted.epochs
        if promoted.epochs < max_epochs:
            ladder.pause(promoted.number, promoted.epochs, qualities[promoted.number])
        else:
            completed += 1


def hours_per_epoch(earlier: Iterable[Training], models: Set[str], now: datetime) -> float | None:
    """The median node hours of an epoch in trainings of these models; None if there are none."""
    hours = [
        training_cost(training.attempts, now).node_hours / training.progress.epoch
        for training in earlier
        if training.progress is not None and training.progress.epoch > 0 and model_name(training) in models
    ]
    return statistics.median(hours) if hours else None


def model_name(training: Training) -> str | None:
    """The name of the model in the config; None for a script."""
    model = training.config.get("model")
    name = model.get("name") if isinstance(model, dict) else model
    return name if isinstance(name, str) else None


def _epochs(
    rule: Stopper, number: int, quality: float, max_epochs: int, rungs: dict[tuple[int, int], list[float]]
) -> int:
    """The number of epochs after which a trial ends."""
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
