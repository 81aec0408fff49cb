"""The parameters of a space: names, places in the cube, numbering, what an expression is worth."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mitorch_service.search.analysis.space_summary import extent, idle_expressions, inactive
from mitorch_service.search.samplers.random import random_point
from mitorch_service.search.samplers.unit_cube import UnitCube
from mitorch_service.search.space.expressions import Range
from mitorch_service.search.space.size import point_with_number, size
from tests.unit.search.samples import CONDITIONAL, FINITE, space_of


def test_equal_names_of_different_expressions_have_different_keys() -> None:
    parameters = {p.key: p for p in space_of(CONDITIONAL).parameters}
    assert list(parameters) == [
        "lr", "optimizer", "optimizer.momentum", "optimizer.decay", "optimizer.decay#1", "layers", "width", "batch",
    ]  # fmt: skip
    assert parameters["optimizer.decay#1"].conditions == (("optimizer", 1),)


def test_equal_expressions_of_one_name_share_a_key() -> None:
    options = [{"name": name, "lr": {"_uniform": [0, 1]}} for name in ("a", "b")]
    assert [p.key for p in space_of({"o": {"_choice": options}}).parameters] == ["o", "o.lr", "o.lr"]


@pytest.mark.parametrize("number", range(10))
def test_a_point_is_found_again_from_its_parameters_and_from_the_cube(number: int) -> None:
    space = space_of(CONDITIONAL)
    point = random_point(space, f"0/{number}")
    assert space.point_of(space.at(point)[1]) == point
    cube = UnitCube(space)
    row = cube.rows([point])
    again = cube.point(row[0])
    assert {name: pytest.approx(value) for name, value in point.items()} == dict(again)
    assert np.allclose(cube.snap(row), row)


def test_parameters_of_another_space_are_no_point() -> None:
    space = space_of(FINITE)
    assert space.point_of({"a": "p", "b": 2}) == {"a": 0, "b": 1}
    assert space.point_of({"a": "p"}) is None
    assert space.point_of({"a": "p", "b": 3}) is None
    assert space.point_of({"a": "q", "a.n": 9, "b": 1}) is None


def test_a_finite_space_is_counted_and_numbered() -> None:
    space = space_of(FINITE)
    assert size(space) == 12
    points = [point_with_number(space, number) for number in range(12)]
    assert len({repr(point) for point in points}) == 12
    assert points[:4] == [{"a": 0, "b": 0}, {"a": 0, "b": 1}, {"a": 0, "b": 2}, {"a": 1, "a.n": 1, "b": 0}]
    assert size(space_of({"x": {"_uniform": [0, 1]}})) == math.inf
    assert size(space_of({"x": {"_uniform": [0, 1], "step": 0.25}, "n": {"_logint": [1, 4]}})) == 20


@pytest.mark.parametrize(
    "bounds",
    [
        Range(0, 1),
        Range(1e-300, 1e18, log=True),
        Range(1e-4, 1, log=True),
        Range(1, 9, integer=True, step=2),
        Range(1, 64, log=True, integer=True),
    ],
)
def test_a_range_fills_the_unit_interval(bounds: Range) -> None:
    assert bounds.from_unit(0.0) == bounds.low
    assert bounds.from_unit(1.0) == bounds.high
    for unit in (0.1, 0.5, 0.83):
        value = bounds.from_unit(unit)
        assert bounds.from_unit(bounds.to_unit(value)) == value


def test_expressions_that_never_matter_are_told() -> None:
    space = space_of({"a": {"_choice": [5]}, "b": {"_choice": ["x", "y", "x"]}, "c": {"_choice": [1, True]}})
    assert [(problem.path, problem.message) for problem in idle_expressions(space)] == [
        ("a", "has one value only: write the value itself"),
        ("b", "option 2 is the same as option 0: it is tried twice"),
    ]


def test_a_space_is_described() -> None:
    assert extent(space_of(FINITE)) == "12 points"
    space = space_of(CONDITIONAL)
    assert extent(space) == "infinitely many points: 8 parameters, 3 of them continuous"
    assert inactive(space, space.at(random_point(space, "0/0"))[1])
