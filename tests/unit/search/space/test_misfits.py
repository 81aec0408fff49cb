"""Given parameters that a trial cannot have, and the nearest ones that it can."""

from __future__ import annotations

from typing import Any

import pytest

from mitorch_service.search.samplers.random import random_point
from mitorch_service.search.space.expressions import Range
from mitorch_service.search.space.misfits import misfit, misfits
from tests.unit.search.samples import CONDITIONAL, FINITE, space_of


@pytest.mark.parametrize("config", [CONDITIONAL, FINITE])
def test_what_a_trial_had_fits_and_so_does_a_part_of_it(config: dict[str, Any]) -> None:
    space = space_of(config)
    for number in range(20):
        parameters = space.at(random_point(space, f"0/{number}"))[1]
        assert misfits(space, parameters) == []
        assert misfits(space, {name: value for name, value in parameters.items() if "." not in name}) == []


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"lr": 2}, "lr is 2, outside of 0.0001 to 1; the nearest is 1.0"),
        ({"lr": 1e-5}, "lr is 1e-05, outside of 0.0001 to 1; the nearest is 0.0001"),
        ({"layers": 4}, "layers is 4, between two of the steps of 2; the nearest is 5"),
        ({"layers": 11}, "layers is 11, outside of 1 to 9; the nearest is 9"),
        ({"width": 20.5}, "width is 20.5, not a whole number; the nearest is 20"),
        ({"width": "20"}, 'width is "20"; it must be a number from 8 to 512'),
        ({"width": True}, "width is true; it must be a number from 8 to 512"),
        ({"width": None}, "width is null; it must be a number from 8 to 512"),
        ({"width": float("nan")}, "width is NaN; it must be a number from 8 to 512"),
        ({"batch": 60}, "batch is 60; the nearest is 64"),
        ({"batch": True}, "batch is true; known: 32, 16, 64"),
        ({"optimizer": "sdg"}, 'optimizer is "sdg"; did you mean "sgd"? known: "sgd", "adam"'),
        ({"optimizer": {"name": "sgd"}}, 'optimizer is {"name": "sgd"}; known: "sgd", "adam"'),
        (
            {"optimizer": "adam", "optimizer.decay": 0.05},
            "optimizer.decay is 0.05, between two of the steps of 0.02; the nearest is 0.0",
        ),
        (
            {"optimizer": "adam", "optimizer.momentum": 0.5},
            'optimizer.momentum exists only where optimizer is "sgd": add that, or remove it',
        ),
        ({"optimizer.momentum": 0.5}, 'optimizer.momentum exists only where optimizer is "sgd": add that, or remove'),
        ({"optimizer.decay": 0.05}, "optimizer.decay is 0.05, between two of the steps of 0.02; the nearest is 0.0"),
        ({"optimizer": "x", "optimizer.momentum": 0.5}, 'optimizer is "x"; known: "sgd", "adam"'),
    ],
)
def test_what_a_trial_cannot_have_is_told_with_the_nearest(given: dict[str, Any], line: str) -> None:
    found = misfits(space_of(CONDITIONAL), given)
    assert len(found) == 1
    assert found[0].startswith(line)


def test_a_value_of_every_branch_may_be_given_without_the_branch() -> None:
    assert misfits(space_of(CONDITIONAL), {"optimizer.decay": 0.04}) == []


def test_rounding_is_no_misfit() -> None:
    assert misfit(Range(0, 1, step=0.1), 0.1 + 0.2) is None
    assert misfit(Range(0, 1), 1 / 3) is None
    assert misfit(Range(1e-12, 1, log=True), 1e-12) is None
    assert misfit(Range(1, 9, integer=True), 3.0) is None
    assert misfit(Range(0, 1, step=0.1), 0.31) is not None
