"""Random search: each trial follows from the seed and its number alone, and the draws are spread as they should be."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest

from mitorch_service.search.samplers.random import suggest
from mitorch_service.search.space.space import Space, parse_space

EVERYTHING = {
    "choice": {"_choice": ["a", "b", {"name": "c", "inner": {"_logint": [1, 64]}}]},
    "uniform": {"_uniform": [-1, 1]},
    "stepped": {"_uniform": [0, 0.9], "step": 0.3},
    "log": {"_loguniform": [1e-5, 1e-1]},
    "int": {"_int": [1, 7], "step": 2},
    "plain": [1, "x"],
}


def space_of(config: dict[str, Any]) -> Space:
    """The space of a config that is right."""
    space, problems = parse_space(config)
    assert problems == []
    return space


def draws(expression: dict[str, Any], count: int = 2000) -> list[Any]:
    """The values of one parameter in many trials."""
    space = space_of({"x": expression})
    return [suggest(space, 7, number)[0]["x"] for number in range(count)]


def test_a_trial_is_the_same_whoever_asks_in_whatever_order() -> None:
    forwards = [suggest(space_of(EVERYTHING), 3, number) for number in range(20)]
    backwards = [suggest(space_of(EVERYTHING), 3, number) for number in reversed(range(20))]
    assert forwards == backwards[::-1]


def test_trials_and_seeds_differ() -> None:
    space = space_of(EVERYTHING)
    drawn = [repr(suggest(space, seed, number)) for seed in range(5) for number in range(20)]
    assert len(set(drawn)) == 100


def test_a_parameter_keeps_its_values_when_another_is_added() -> None:
    more = {**EVERYTHING, "another": {"_uniform": [0, 1]}}
    for number in range(10):
        one, two = (suggest(space_of(config), 3, number)[0] for config in (EVERYTHING, more))
        assert one == {key: value for key, value in two.items() if key != "another"}


def test_parameters_are_those_of_the_config() -> None:
    for number in range(50):
        config, parameters = suggest(space_of(EVERYTHING), 0, number)
        assert config["plain"] == [1, "x"]
        assert {name: config[name] for name in ("uniform", "stepped", "log", "int")}.items() <= parameters.items()
        inner = isinstance(config["choice"], dict)
        assert ("choice.inner" in parameters) == inner
        assert parameters["choice"] == ("c" if inner else config["choice"])


def test_options_come_up_equally_often() -> None:
    counts = Counter(draws({"_choice": [0, 1, 2, 3]}))
    assert set(counts) == {0, 1, 2, 3}
    assert all(400 < count < 600 for count in counts.values())


@pytest.mark.parametrize("low", [1, -3])
def test_whole_numbers_come_up_equally_often_both_ends_included(low: int) -> None:
    counts = Counter(draws({"_int": [low, low + 3]}))
    assert set(counts) == set(range(low, low + 4))
    assert all(400 < count < 600 for count in counts.values())
    assert all(isinstance(value, int) for value in counts)


def test_steps_are_kept() -> None:
    assert set(draws({"_int": [1, 8], "step": 3})) == {1, 4, 7}
    assert set(draws({"_uniform": [0, 1], "step": 0.25})) == {0, 0.25, 0.5, 0.75, 1}


def test_a_range_is_filled_evenly() -> None:
    values = draws({"_uniform": [2, 4]})
    assert all(2 <= value <= 4 for value in values)
    assert abs(sum(values) / len(values) - 3) < 0.05
    assert min(values) < 2.01
    assert max(values) > 3.99


def test_a_logarithmic_range_is_filled_evenly_in_its_logarithm() -> None:
    values = draws({"_loguniform": [1e-4, 1]})
    assert all(1e-4 <= value <= 1 for value in values)
    assert abs(sum(map(math.log10, values)) / len(values) + 2) < 0.1


def test_small_whole_numbers_of_a_logarithmic_range_come_up_more_often() -> None:
    counts = Counter(draws({"_logint": [1, 4]}))
    assert set(counts) == {1, 2, 3, 4}
    assert counts[1] > counts[2] > counts[3] > counts[4] > 100


def test_the_seed_gives_the_search_of_former_versions() -> None:
    """A change here changes every search that is under way: its trials would no longer be the same."""
    space = space_of({"lr": {"_loguniform": [1e-4, 1e-1]}, "n": {"_int": [1, 100]}, "o": {"_choice": ["a", "b"]}})
    assert suggest(space, 42, 0)[1] == {"lr": 0.00826741836217, "n": 99, "o": "a"}
    assert suggest(space, 42, 1)[1] == {"lr": 0.000601221319992, "n": 19, "o": "b"}
