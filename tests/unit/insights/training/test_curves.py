"""Curves for charts: over epochs, run time and cost, and only what is new."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import pytest

from mitorch_service.errors import InvalidInput, NotFound
from mitorch_service.insights.training import curves
from mitorch_service.insights.training.curves import Axis, CurveRequest, read_curves
from mitorch_service.models.training import Attempt, Training
from mitorch_service.stores.base import Store
from mitorch_service.stores.sqlite.store import SqliteStore
from tests.fakes import primitives
from tests.samples import NOW, a_result, a_training, an_attempt

HOUR = timedelta(hours=1)


@pytest.fixture
def store() -> Iterator[Store]:
    with closing(SqliteStore(None)) as store:
        yield store


def attempt_from(training: Training, number: int, hours: float, lasts: float | None) -> Attempt:
    """An attempt that started so many hours after NOW, on two nodes of 3.0 each."""
    start = NOW + hours * HOUR
    times = {"started_at": start, "ended_at": None if lasts is None else start + lasts * HOUR}
    return an_attempt(training, number).model_copy(update={**times, "nodes": 2, "price": 3.0})


def reported(store: Store, training: Training, *epochs: tuple[int, float]) -> None:
    """Stores epochs, each with the hours after NOW at which it was finished."""
    documents = [
        {
            "_id": f"{training.id}:{epoch:06d}",
            "training_id": training.id,
            "attempt": 1,
            **a_result(epoch, finished_at=NOW + hours * HOUR).to_document(),
        }
        for epoch, hours in epochs
    ]
    primitives(store).insert("training_results", documents)


@pytest.mark.parametrize(
    ("axis", "wanted"),
    [("epoch", [1.0, 2.0, 3.0, 4.0]), ("time", [1.0, 2.0, 2.5, 3.5]), ("cost", [6.0, 12.0, 15.0, 21.0])],
)
def test_the_hours_between_two_attempts_are_no_run_time(store: Store, axis: Axis, wanted: list[float]) -> None:
    training = a_training()
    attempts = [attempt_from(training, 1, 0.0, 2.0), attempt_from(training, 2, 10.0, None)]
    store.queue.add_trainings([training.model_copy(update={"attempts": attempts, "attempt": 2})])
    reported(store, training, (1, 1.0), (2, 2.0), (3, 10.5), (4, 11.5))
    (curve,) = read_curves(store, CurveRequest([training.id], ["val_loss"], axis))
    (series,) = curve.series
    assert list(series.x) == pytest.approx(wanted)
    assert list(series.y) == [1.5, 0.75, 0.5, 0.375]


def test_only_what_is_new_is_read(store: Store) -> None:
    training = a_training()
    store.queue.add_trainings([training])
    reported(store, training, *((epoch, epoch / 10) for epoch in range(1, 8)))
    (curve,) = read_curves(store, CurveRequest([training.id], after={training.id: 5}))
    assert [list(series.x) for series in curve.series] == [[6.0, 7.0]] * 3
    assert [series.measure for series in curve.series] == ["train_loss", "val_loss", "top1_accuracy"]
    assert curve.epochs == 7
    (rest,) = read_curves(store, CurveRequest([training.id], after={training.id: 7}))
    assert (rest.series, rest.epochs) == ([], 7)


def test_what_cannot_be_drawn_is_refused(store: Store) -> None:
    with pytest.raises(InvalidInput, match="101 trainings: 100 at most"):
        read_curves(store, CurveRequest([str(number) for number in range(101)]))
    with pytest.raises(InvalidInput, match="is 3: 4 to"):
        read_curves(store, CurveRequest([], points=3))
    with pytest.raises(NotFound):
        read_curves(store, CurveRequest(["00000000-0000-0000-0000-000000000000"]))


def test_one_curve_is_read_when_there_is_time_for_none(store: Store) -> None:
    trainings = [a_training() for _ in range(3)]
    store.queue.add_trainings(trainings)
    ids = [training.id for training in trainings]
    looks = iter([True, False])
    assert [curve.training_id for curve in read_curves(store, CurveRequest(ids), lambda: next(looks))] == ids[:2]
    assert [curve.training_id for curve in read_curves(store, CurveRequest(ids), lambda: False)] == ids[:1]


def test_of_a_very_long_curve_some_epochs_are_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curves, "_MOST_READ", 40)
    monkeypatch.setattr(curves.read_results, "__defaults__", (0, 40))
    monkeypatch.setattr(curves.distance_of, "__defaults__", (0, 40))
    training = a_training()
    store.queue.add_trainings([training])
    reported(store, training, *((epoch, epoch / 100) for epoch in range(1, 401)))
    (curve,) = read_curves(store, CurveRequest([training.id], ["val_loss"]))
    assert (curve.every, curve.epochs, len(curve.series[0].x)) == (10, 400, 41)
    (new,) = read_curves(store, CurveRequest([training.id], ["val_loss"], after={training.id: 380}))
    assert (new.every, list(new.series[0].x)) == (1, [float(epoch) for epoch in range(381, 401)])
