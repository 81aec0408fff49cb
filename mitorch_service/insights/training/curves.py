"""The curves of up to a hundred trainings, as charts need them: one measure over epochs, time or cost, thinned."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from mitorch_service.errors import BrokenDocument, InvalidInput, Problem
from mitorch_service.insights.training.compare import measure
from mitorch_service.insights.training.thinning import thin
from mitorch_service.models.result import EpochResult
from mitorch_service.models.status import ENDED
from mitorch_service.models.training import Attempt, TrainingRow
from mitorch_service.stores.base import Store

MOST_CURVES = 100
MOST_POINTS = 5_000  # of one curve in one answer
_MOST_READ = 5_000  # epochs of one curve, of which the lowest and the highest of each column are drawn
Axis = Literal["epoch", "time", "cost"]


@dataclass(frozen=True)
class Series:
    """One measure of one training."""

    measure: str
    x: Sequence[float]
    y: Sequence[float | None]  # None: not measured, or not finite


@dataclass(frozen=True)
class Curve:
    """The curves of one training."""

    training_id: str
    label: str
    status: str
    epochs: int  # recorded until now: what comes later is read by `after`
    every: int  # 1: all epochs were read; else about each so many
    has_ended: bool
    series: Sequence[Series]


@dataclass(frozen=True)
class CurveRequest:
    """A request for curves. `measures`: none means the losses and all metrics; `after`: training -> the epoch behind
    which it is wanted."""

    ids: Sequence[str]
    measures: Sequence[str] = ()
    axis: Axis = "epoch"
    points: int = 800
    after: Mapping[str, int] | None = None


def read_curves(store: Store, request: CurveRequest, has_time: Callable[[], bool] = lambda: True) -> list[Curve]:
    """Reads only the epochs that are wanted. Stops before the first id for which it has no time any more, but reads
    one at least. Raises InvalidInput for too many curves or points, NotFound, BrokenDocument."""
    if len(request.ids) > MOST_CURVES:
        raise InvalidInput("ids", [Problem("", f"names {len(request.ids)} trainings: {MOST_CURVES} at most")])
    if not 4 <= request.points <= MOST_POINTS:
        raise InvalidInput("points", [Problem("", f"is {request.points}: 4 to {MOST_POINTS}")])
    found: list[Curve] = []
    for id in dict.fromkeys(request.ids):
        if found and not has_time():
            break
        found.append(_read_curve(store, id, request))
    return found


def _read_curve(store: Store, id: str, request: CurveRequest) -> Curve:
    training = store.trainings.get_row(id)
    after = (request.after or {}).get(id, 0)
    results = read_results(store, id, after)
    x = [_position(training, result, request.axis) for result in results]
    names = request.measures or measures_of(results)
    return Curve(
        training_id=id,
        label=label_of(training),
        status=training.status,
        epochs=results[-1].epoch if results else after,
        every=distance_of(results, after),
        has_ended=training.status in ENDED,
        series=[series for name in names if (series := _series(name, x, results, request.points)) is not None],
    )


def read_results(store: Store, training_id: str, after: int = 0, most: int = _MOST_READ) -> list[EpochResult]:
    """The recorded epochs behind `after`, in order, without those that cannot be read; of many about `most`, spread
    evenly."""
    found = []
    for record in store.runs.spread_records(training_id, most, after):
        with suppress(BrokenDocument):
            found.append(EpochResult.from_document(record))
    return found


def distance_of(results: Sequence[EpochResult], after: int = 0, most: int = _MOST_READ) -> int:
    """About how many epochs lie between two of those that were read of many; 1 where all were read."""
    last = results[-1].epoch if results else after
    return 1 if last - after <= most else max(1, round((last - after) / len(results)))


def measures_of(results: Iterable[EpochResult]) -> list[str]:
    """The measures that these epochs have: losses first, then metrics, then the rate and the times."""
    names: dict[str, None] = {}
    for result in results:
        names |= dict.fromkeys(name for name in _LOSSES if measure(result, name) is not None)
        names |= dict.fromkeys((*result.metrics, *result.part_losses()))
    order = {name: number for number, name in enumerate(_LOSSES)}
    return sorted(names, key=lambda name: order.get(name, len(order)))


def label_of(training: TrainingRow) -> str:
    """The name that a curve has in a legend: of a trial its number."""
    name = training.name or training.id[:8]
    return name if training.trial is None else f"{name} #{training.trial.number}"


_LOSSES = ("train_loss", "val_loss")
_RATES = ("learning_rate", "epoch_seconds", "samples_per_second")


def value_of(result: EpochResult, name: str) -> float | None:
    """A loss, a metric, the learning rate or a time; None where it was not measured or is not finite."""
    value: object = getattr(result, name) if name in _RATES else measure(result, name)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _series(name: str, x: Sequence[float], results: Sequence[EpochResult], points: int) -> Series | None:
    y = [value_of(result, name) for result in results]
    if all(value is None for value in y):
        return None
    kept = thin(x, y, points)
    return Series(name, [x[index] for index in kept], [y[index] for index in kept])


def _position(training: TrainingRow, result: EpochResult, axis: Axis) -> float:
    """The epoch; the hours that its attempts had run until then, waiting left out; or what they had cost."""
    if axis == "epoch":
        return float(result.epoch)
    hours = [(attempt, _hours(attempt, result.finished_at)) for attempt in training.attempts]
    if axis == "time":
        return sum(time for _, time in hours)
    return sum(time * attempt.nodes * (attempt.price or 0.0) for attempt, time in hours)


def _hours(attempt: Attempt, until: datetime) -> float:
    """The hours that the attempt had run until then."""
    begin = attempt.started_at or attempt.submitted_at
    end = until if attempt.ended_at is None else min(attempt.ended_at, until)
    return 0.0 if begin is None else max(0.0, (end - begin).total_seconds() / 3600)
