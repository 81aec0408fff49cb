"""Scales, ticks and figures of charts."""

from __future__ import annotations

import math

import pytest

from mitorch_service.viewer.charts.plot import Plot
from mitorch_service.viewer.charts.scales import Scale, tick_text, value_scale
from mitorch_service.viewer.charts.status_bar import status_bar
from mitorch_service.viewer.pages.templates import number


@pytest.mark.parametrize(
    ("scale", "labels"),
    [
        (Scale(0, 10), ["0", "2", "4", "6", "8", "10"]),
        (Scale(0.893, 0.981), ["0.9", "0.92", "0.94", "0.96", "0.98"]),
        (Scale(1e-5, 1, log=True), ["1e-5", "1e-4", "0.001", "0.01", "0.1", "1"]),
        (Scale(3, 30, log=True), ["5", "10", "20"]),
        (Scale(2, 2), ["2"]),
        (Scale(0, 1, options=("adam", "sgd")), ["adam", "sgd"]),
    ],
)
def test_ticks_are_round_figures(scale: Scale, labels: list[str]) -> None:
    assert [label for _, label in scale.ticks()] == labels
    assert all(0 <= place <= 1 for place, _ in scale.ticks())


def test_a_few_bad_values_do_not_hide_the_others() -> None:
    values = [0.1 + number / 100 for number in range(20)]
    scale = value_scale([*values, 1e308, math.inf], "high")
    assert scale.low < 0.1 and 0.29 <= scale.high < 2
    assert scale.place(1e308) == 1.0
    assert value_scale([-value for value in [*values, 1e6]], "low").low > -2
    whole = value_scale(values, "high")
    assert whole.low < min(values) and whole.high > max(values)


def test_huge_and_missing_values_have_finite_places() -> None:
    plot = Plot(Scale(-1e300, 1e300), value_scale([-1e308, 1e308]))
    assert all(map(math.isfinite, plot.at(1e308, -1e308)))
    assert value_scale([]).ticks() and value_scale([5.0, 5.0]).ticks()


def test_figures_have_no_needless_exponents() -> None:
    assert [number(value, 3) for value in (2987.4, 99.96, 0.00123, 1e-5, 3e7, 12)] == [
        "2,987",
        "100",
        "0.00123",
        "1.00e-05",
        "3.00e+07",
        "12",
    ]
    assert [tick_text(value) for value in (0, 1e-6, 2.5e7, 0.30000000000000004)] == ["0", "1e-6", "2.5e7", "0.3"]


def test_a_bar_of_statuses_says_how_many_of_each() -> None:
    bar = status_bar({"completed": 3, "failed": 1, "new": 0}, share=0.5)
    assert 'aria-label="3 completed, 1 failed"' in bar and bar.count("<rect") == 2
    assert status_bar({}) == ""
