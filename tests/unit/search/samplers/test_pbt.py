"""Population based training: who goes on from whom, with which parameters."""

from __future__ import annotations

import math
import random

import pytest

from mitorch_service.search.samplers.pbt import Member, exploit, explored, may_vary, population_steps
from tests.unit.search.samples import CONDITIONAL, NUMBERS, study_of


def test_a_bad_member_goes_on_from_a_good_one() -> None:
    study = study_of(NUMBERS)
    members = [Member(n, {"x": 0.5, "y": 0.1}, loss) for n, loss in enumerate((0.1, 0.2, 0.3, math.nan))]
    decision = exploit(study, members, 3, epochs=2)
    assert decision is not None
    assert (decision.member, decision.parent) == (3, 0)
    assert decision == exploit(study, members[::-1], 3, epochs=2)
    assert decision.point != members[0].point
    assert exploit(study, members, 1, epochs=2) is None
    assert exploit(study, [Member(n, {}, math.nan) for n in range(4)], 3, 0) is None


def test_all_that_are_lost_are_replaced_however_small_the_share() -> None:
    study = study_of(NUMBERS)
    members = [Member(n, {"x": 0.5, "y": 0.1}, 0.1 if n == 2 else math.inf) for n in range(8)]
    decisions = [exploit(study, members, number, 2, share=0.1) for number in range(8)]
    assert [decision and decision.parent for decision in decisions] == [2, 2, None, 2, 2, 2, 2, 2]


@pytest.mark.parametrize(("count", "replaced"), [(1, 0), (2, 1), (3, 1), (8, 2), (20, 5)])
def test_a_quarter_is_replaced_and_at_least_one(count: int, replaced: int) -> None:
    study = study_of(NUMBERS)
    members = [Member(n, {"x": 0.5, "y": 0.1}, n / 100) for n in range(count)]
    decisions = [exploit(study, members, number, 2) for number in range(count)]
    assert [decision is not None for decision in decisions] == [False] * (count - replaced) + [True] * replaced
    assert all(decision.parent < max(count // 4, 1) for decision in decisions if decision)


def test_explored_points_are_of_the_space() -> None:
    study = study_of(CONDITIONAL)
    point = {"lr": 0.9, "optimizer": 0, "optimizer.momentum": 0.85, "optimizer.decay": 1.0, "layers": 9, "width": 500}
    for seed in range(20):
        found = explored(study, {**point, "batch": seed % 2}, random.Random(seed))
        assert study.space.point_of(study.space.at(found)[1]) == found


def test_members_are_compared_before_the_last_epoch() -> None:
    assert population_steps(10, 3) == [3, 6, 9]
    assert population_steps(9, 3) == [3, 6]
    assert population_steps(25, None) == list(range(2, 25, 2))
    assert population_steps(3, None) == [1, 2]
    assert population_steps(1, None) == []


def test_what_weights_depend_on_may_not_differ() -> None:
    for name in ("lr_scheduler.base_lr", "lr_scheduler", "augmentation.train[1].options.p", "optimizer.betas[0]"):
        assert may_vary(name), name
    for name in (
        "model.name",
        "optimizer",
        "optimizer.name",
        "batch_size",
        "augmentation.val",
        "ema",
        "optimizer.eps2",
    ):
        assert not may_vary(name), name
