"""Each label in the same proportion in all parts, whatever the order of the units."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from mitorch_service.training.data.splitting.stratification import Label, Unit, divide


def shares(units: list[Unit], parts: list[int], part: int) -> dict[Label, float]:
    totals: Counter[Label] = Counter()
    shown: Counter[Label] = Counter()
    for unit, number in zip(units, parts, strict=True):
        totals.update(unit.labels)
        shown.update(unit.labels if number == part else {})
    return {label: shown[label] / total for label, total in totals.items()}


def test_one_label_each_is_rounded_by_class() -> None:
    units = [Unit(f"{label}/{number}", 1, {label: 1}) for label in range(5) for number in range(50 + label)]
    found = divide(units, [0.7, 0.2, 0.1], 1)
    assert all(abs(share - 0.2) < 0.01 for share in shares(units, found.parts, 1).values())
    assert all(abs(share - 0.1) < 0.01 for share in shares(units, found.parts, 2).values())


def test_several_labels_of_very_different_frequency() -> None:
    draw = random.Random(1)
    units = [
        Unit(f"{number:04}", 1, dict.fromkeys({min(19, int(draw.expovariate(0.2))) for _ in range(3)}, 1))
        for number in range(1000)
    ]
    found = divide(units, [0.8, 0.2], 0, required=frozenset(range(20)))
    assert not found.missing
    totals = Counter(label for unit in units for label in unit.labels)
    errors = {label: abs(share - 0.2) * totals[label] for label, share in shares(units, found.parts, 1).items()}
    assert max(errors.values()) <= 2  # images, of a class


def test_groups_of_different_sizes_with_several_labels() -> None:
    draw = random.Random(2)
    units = []
    for number in range(60):
        size = draw.randint(1, 30)
        units.append(Unit(f"{number:02}", size, Counter(draw.randint(0, 4) for _ in range(size))))
    found = divide(units, [0.8, 0.2], 0)
    assert abs(found.shares[1] - 0.2) < 0.02
    assert all(abs(share - 0.2) < 0.04 for share in shares(units, found.parts, 1).values())


def test_a_rare_label_is_in_each_part_and_given_parts_are_kept() -> None:
    units = [Unit(f"{number}", 1, {"common": 1, **({"rare": 1} if number < 2 else {})}) for number in range(40)]
    found = divide(units, [0.9, 0.1], 3, required=frozenset(["rare", "common"]))
    assert not found.missing
    assert sorted(found.parts[:2]) == [0, 1]
    assert divide(units, [0.9, 0.1], 3, fixed={0: 0, 1: 0}).parts[:2] == [0, 0]


@settings(max_examples=8, deadline=None)
@given(st.permutations(range(30)), st.integers(0, 3))
def test_the_order_does_not_matter_and_the_seed_does(order: list[int], seed: int) -> None:
    units = [Unit(f"{number:02}", 1 + number % 3, {number % 4: 1, "x": number % 2}) for number in range(30)]
    parts = divide(units, [0.7, 0.3], seed).parts
    shuffled = divide([units[number] for number in order], [0.7, 0.3], seed).parts
    assert [parts[number] for number in order] == shuffled
    assert parts != divide(units, [0.7, 0.3], seed + 1).parts
