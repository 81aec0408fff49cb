"""The rows that curves become."""

from __future__ import annotations

import math

import pytest

from mitorch_service.interop import curves as module
from mitorch_service.interop.curves import Curves
from mitorch_service.models.imported import Axis


def curves(**points: list[tuple[float, float]]) -> Curves:
    made = Curves()
    for name, curve in points.items():
        for step, value in curve:
            made.add(name, step, value, 1000.0 + step)
    return made


def test_a_row_for_each_step_of_curves_of_different_lengths() -> None:
    rows = curves(loss=[(0, 3.0), (10, 2.0), (20, 1.0)], accuracy=[(10, 0.5), (40, 0.75)]).rows(100)
    assert rows.axis == "step"
    assert [(row.number, row.step, row.at, row.values) for row in rows.rows] == [
        (1, 0, 1000.0, {"loss": 3.0}),
        (2, 10, 1010.0, {"loss": 2.0, "accuracy": 0.5}),
        (3, 20, 1020.0, {"loss": 1.0}),
        (4, 40, 1040.0, {"accuracy": 0.75}),
    ]
    assert rows.left_out == 0


def test_a_row_for_each_epoch_where_they_are_logged() -> None:
    made = curves(loss=[(step, 6.0 - step) for step in range(6)], epoch=[(step, step // 2) for step in range(6)])
    rows = made.rows(100)
    assert (rows.axis, rows.epochs) == ("epoch", "epoch")
    assert [(row.number, row.step, row.values) for row in rows.rows] == [
        (1, 1, {"loss": 5.0}),
        (2, 3, {"loss": 3.0}),
        (3, 5, {"loss": 1.0}),
    ]
    assert rows.left_out == 3
    assert len(made.rows(100, "step").rows) == 6


@pytest.mark.parametrize(
    ("epochs", "numbers"),
    [
        ([(9, 0), (19, 1)], [1, 1, 2, 2]),  # logged at the end of each, from 0
        ([(9, 1), (19, 2)], [1, 1, 2, 2]),  # from 1
        ([(9, 7), (19, 9)], [7, 7, 9, 9]),  # resumed, one is missing
    ],
)
def test_epochs_logged_at_their_end(epochs: list[tuple[float, float]], numbers: list[int]) -> None:
    points: dict[str, list[tuple[float, float]]]
    points = {"a": [(0, 1.0), (12, 2.0)], "b": [(9, 1.0), (19, 2.0)], "trainer/epoch": epochs}
    made = curves(**points)
    found = {name: row.number for row in made.rows(100).rows for name in row.values}
    assert found == {"a": numbers[2], "b": numbers[3]}
    assert sorted({row.number for row in made.rows(100).rows}) == sorted(set(numbers))


@pytest.mark.parametrize(
    "epochs", [[0.0, 0.5, 1.0], [0, 0, 0], [2, 1, 0], [0, 1, math.nan], [0, 1, math.inf], [-1, 0, 1]]
)
def test_what_is_no_epoch(epochs: list[float]) -> None:
    rows = curves(loss=[(step, 1.0) for step in range(3)], epoch=list(enumerate(epochs))).rows(100)
    assert (rows.axis, rows.epochs, len(rows.rows)) == ("step", None, 3)
    assert "epoch" in rows.rows[0].values


@pytest.mark.parametrize("axis", [None, "step"])
def test_thinned_to_as_many_rows_as_wanted(axis: Axis | None) -> None:
    made = curves(loss=[(step, float(step)) for step in range(1000)], rare=[(0, 7.0), (999, 8.0)])
    rows = made.rows(10, axis)
    assert [row.number for row in rows.rows] == list(range(1, 11))
    assert [row.values["loss"] for row in rows.rows] == [99.0 + 100 * number for number in range(10)]
    assert (rows.rows[0].values["rare"], rows.rows[9].values["rare"]) == (7.0, 8.0)  # none that is rare gets lost
    assert (rows.points, rows.kept, rows.left_out) == (1002, 12, 990)


def test_the_last_point_of_a_step_counts() -> None:
    rows = curves(loss=[(1, 1.0), (2, 2.0), (1, 3.0)]).rows(10)
    assert [row.values for row in rows.rows] == [{"loss": 3.0}, {"loss": 2.0}]
    assert rows.left_out == 1


def test_points_that_are_not_finite_are_kept() -> None:
    rows = curves(loss=[(1, math.nan), (2, math.inf), (3, -math.inf)]).rows(10)
    assert repr([row.values["loss"] for row in rows.rows]) == "[nan, inf, -inf]"


def test_a_long_curve_is_held_in_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_HELD", 100)
    made = Curves()
    most = 0
    for step in range(10_000):
        made.add("loss", step, float(step))
        most = max(most, len(made["loss"].steps))
    assert most <= 101
    rows = made.rows(20)
    assert len(rows.rows) == 20
    assert rows.points == 10_000
    assert rows.rows[-1].values == {"loss": 9999.0}
    assert all(row.values["loss"] == row.step for row in rows.rows)


def test_steps_far_apart() -> None:
    made = curves(loss=[(-(2.0**60), 1.0), (0, 2.0), (2.0**60, 3.0)])
    assert [row.values["loss"] for row in made.rows(10).rows] == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("step", [math.nan, math.inf])
def test_a_step_that_is_none(step: float) -> None:
    with pytest.raises(ValueError, match="'loss' has a point at the step"):
        Curves().add("loss", step, 1.0)


def test_what_is_resumed_takes_the_place() -> None:
    made = curves(loss=[(step, 1.0) for step in range(5)], late=[(4, 1.0)])
    made.drop_from(3)
    assert list(made) == ["loss"]
    assert [row.step for row in made.rows(10).rows] == [0, 1, 2]
    assert made.rows(10).left_out == 0


def test_no_curves() -> None:
    assert Curves().rows(10).rows == []
