"""Successive halving that promotes: who goes on, and that its epochs are those of the rungs."""

from __future__ import annotations

import math
import random
from collections import Counter
from itertools import pairwise

import pytest

from mitorch_service.search.stopping.promotion import (
    Ladder,
    Paused,
    Promotion,
    Rung,
    last_promotion,
    next_rung,
    promotion_rungs,
    promotions,
)

LOW = Rung(1, 9, (Paused(4, 0.2, 1), Paused(7, 0.25, 2), Paused(8, 0.3, 3)))


@pytest.mark.parametrize(
    ("max_epochs", "options", "expected"),
    [(27, {"factor": 3}, [1, 3, 9]), (10, {"factor": 2, "min_epochs": 2}, [2, 5]), (1, {}, []), (2, {"factor": 3}, [])],
)
def test_rungs_are_counted_from_the_end(max_epochs: int, options: dict[str, int], expected: list[int]) -> None:
    assert promotion_rungs(max_epochs, **options) == expected


def test_the_rung_behind_an_epoch() -> None:
    assert [next_rung([1, 3, 9], epochs) for epochs in (0, 1, 4, 9)] == [1, 3, 9, None]


def test_the_best_share_of_each_rung_goes_on_the_highest_first() -> None:
    high = Rung(3, 3, (Paused(2, 0.1, 0), Paused(5, 0.4, 1)))
    assert promotions([LOW, high], 3, 9, 10) == [Promotion(2, 9), Promotion(4, 3), Promotion(7, 3)]
    assert promotions([LOW, high], 3, 9, 2) == [Promotion(2, 9), Promotion(4, 3)]
    assert promotions([LOW, high], 3, 9, -1) == []
    assert promotions([LOW, Rung(3, 2, (Paused(2, 0.1, 0),))], 3, 9, 10) == [Promotion(4, 3), Promotion(7, 3)]


def test_what_is_not_finite_never_goes_on() -> None:
    rungs = [Rung(1, 9, (Paused(4, math.inf, 0),))]
    assert promotions(rungs, 3, 9, 10) == []
    assert last_promotion(rungs, 9, 0) is None


def test_a_search_by_promotion_ends_with_a_whole_training() -> None:
    assert last_promotion([LOW, Rung(3, 1, (Paused(2, 0.1, 0),))], 9, 0) == Promotion(2, 9)
    assert last_promotion([LOW, Rung(3, 1)], 9, 1) is None  # that of the highest rung has gone on
    assert last_promotion([LOW, Rung(3, 2, (Paused(2, 0.1, 1),))], 9, 1) is None
    assert last_promotion([], 9, 0) is None


def test_when_those_that_went_on_have_failed_the_next_best_does() -> None:
    assert last_promotion([LOW, Rung(3, 1)], 9, 0) == Promotion(4, 3)
    assert last_promotion([LOW, Rung(3, 2, (Paused(2, 0.1, 1),))], 9, 0) == Promotion(2, 9)


@pytest.mark.parametrize("factor", [2, 3])
def test_a_search_in_memory_spends_the_epochs_of_its_rungs(factor: int) -> None:
    ladder, draw, at, whole = Ladder(27, factor=factor), random.Random(0), Counter[int](), 0
    begun, spent = 0, 0
    while True:
        promotion = ladder.promote()
        if promotion is None and begun < 60:
            promotion, begun = Promotion(begun, ladder.goal()), begun + 1
        promotion = promotion or ladder.promote_last(whole)
        if promotion is None:
            break
        spent += promotion.epochs - at[promotion.number]
        at[promotion.number] = promotion.epochs
        if promotion.epochs == 27:
            whole += 1
        else:
            ladder.pause(promotion.number, promotion.epochs, promotion.number / 60 + draw.random() / 100)
    reached = [sum(epochs >= rung for epochs in at.values()) for rung in (*ladder.rungs, 27)]
    steps = [goal - rung for rung, goal in zip([0, *ladder.rungs], [*ladder.rungs, 27], strict=True)]
    assert spent == sum(count * step for count, step in zip(reached, steps, strict=True))
    assert reached[0] == 60
    assert whole >= 1
    assert all(after <= before / factor + 1 for before, after in pairwise(reached))
    assert at[0] == 27
