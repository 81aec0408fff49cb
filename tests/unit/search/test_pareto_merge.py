"""A Pareto front that grows trial by trial is that of all trials."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest

from mitorch_service.models.search.objectives import Direction
from mitorch_service.models.search.pareto_front import FrontTrial
from mitorch_service.search.pareto_merge import dominates, merged
from mitorch_service.search.samplers.pareto import pareto_front, ranked


def trial(number: int, *values: float) -> FrontTrial:
    """A trial that was measured so."""
    return FrontTrial(training_id=f"t{number}", number=number, values=list(values), parameters={})


def drawn(count: int, objectives: int, steps: int = 20, seed: int = 0) -> list[FrontTrial]:
    """Trials of which some are equal to others in some objectives, or in all."""
    draw = random.Random(seed)
    return [trial(n, *(draw.randrange(steps) / steps for _ in range(objectives))) for n in range(count)]


def brute_force(trials: list[FrontTrial]) -> set[int]:
    """Everything that nothing is better than; all minimized."""
    losses = {one.number: tuple(one.values) for one in trials}
    return {n for n, mine in losses.items() if not any(dominates(other, mine) for other in losses.values())}


def test_a_front_with_huge_values_keeps_its_ends_and_drops_the_most_crowded() -> None:
    pairs = [(-1.7e308, 1.7e308), (-1e308, 1e308), (0.0, 0.0), (1.0, -1.0), (1.7e308, -1.7e308)]
    trials = [trial(number, *pair) for number, pair in enumerate(pairs)]
    kept = merged([], trials, ["minimize", "minimize"], most=4)
    assert [one.number for one in kept] == [0, 1, 3, 4]


@pytest.mark.parametrize("objectives", [2, 3, 4])
def test_pieces_in_any_order_give_the_front_of_all(objectives: int) -> None:
    directions: list[Direction] = ["minimize"] * objectives
    for seed in range(5):
        trials = drawn(60, objectives, seed=seed)
        front: list[FrontTrial] = []
        for start in range(0, 60, 7):
            front = merged(front, trials[start : start + 7], directions, most=1000)
            front = merged(front, trials[start : start + 3], directions, most=1000)  # told again
        assert {one.number for one in front} == brute_force(trials)
        losses = np.array([one.values for one in trials])
        assert set(pareto_front(losses)) == brute_force(trials)


def test_a_front_knows_its_directions_and_begins_with_the_best_in_the_first_objective() -> None:
    trials = [trial(0, 0.5, 0.9), trial(1, 0.1, 0.2), trial(2, 0.4, 0.1), trial(3, 0.6, 0.8)]
    assert [one.number for one in merged([], trials, ("minimize", "maximize"))] == [1, 0]
    assert [one.number for one in merged([], trials, ("maximize", "minimize"))] == [3, 2]


def test_a_full_front_stays_wide_and_keeps_the_ends() -> None:
    trials = [trial(n, n / 500, 1 - n / 500) for n in range(500)]
    random.Random(0).shuffle(trials)
    front = merged([], trials, ("minimize", "minimize"), most=20)
    places = [one.values[0] for one in front]
    assert len(front) == 20
    assert (places[0], places[-1]) == (0, 499 / 500)
    assert max(b - a for a, b in pairwise(places)) < 0.15


def test_the_ranking_takes_front_by_front_of_ten_thousand() -> None:
    losses = np.random.default_rng(0).random((10_000, 2))
    best = ranked(losses, 64)
    first = pareto_front(losses)
    assert set(best[: len(first)]) == set(first)
    assert len(set(best)) == 64
    worse = np.array([[2.0, 2.0], [np.inf, 0.0], [3.0, 3.0]])
    assert ranked(np.vstack([worse, losses[first]]), len(first) + 3)[-3:] == [0, 2, 1]
    assert sorted(ranked(np.full((3, 2), np.inf), 2)) == [0, 1]
