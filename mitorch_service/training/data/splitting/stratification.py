"""Divides a data set into parts that show each class in the same proportion."""

from __future__ import annotations

import heapq
import random
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

Label = Hashable

_TRIES = 10  # with other random orders, of which the best is taken
_MOST_TRIED = 5_000  # units; of more, the first try is as good as any
_LEAST_WANTED = 0.5


@dataclass(frozen=True)
class Unit:
    """Images that stay together: one, or all of a group."""

    key: str  # a name that does not depend on the order of the data set's file
    images: int
    labels: Mapping[Label, int]  # how often each is shown


@dataclass(frozen=True)
class Division:
    """The part of each unit, and how well it fits."""

    parts: list[int]  # of each unit
    missing: list[tuple[Label, int]]  # required labels that a part does not show
    shares: list[float]  # of all images, in each part


def divide(
    units: Sequence[Unit],
    fractions: Sequence[float],
    seed: int,
    *,
    required: frozenset[Label] = frozenset(),
    fixed: Mapping[int, int] | None = None,
) -> Division:
    """Assigns each unit to one of the parts, whose `fractions` of the images add up to 1.

    Iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011, "On the Stratification of Multi-label Data"): the
    label that the fewest unassigned units show is dealt out first, each unit to the part that needs it most. What a
    part needs is measured over all labels of the unit, so that units may be groups of images: it gets the unit if that
    lessens chi-squared, the sum of (shown - wanted)^2 / wanted over parts and labels, most. For one label this rounds
    as Sainte-Lague does. `required` labels should be in all parts, for which their last units are kept;
    the best of several random orders is taken. `fixed`:
    parts of units, by number, that are given. The same units, in whatever order, fractions and seed give the same
    parts.
    """
    order = sorted(range(len(units)), key=lambda number: units[number].key)
    best: tuple[tuple[int, float], Division] | None = None
    for attempt in range(_TRIES):
        dealing = _Dealing(units, fractions, required)
        parts = dealing.run(order, random.Random(f"{seed} {attempt}"), fixed or {})
        found = Division(parts, dealing.missing(), dealing.shares())
        rank = len(found.missing), dealing.chi_squared()
        if best is None or rank < best[0]:
            best = rank, found
        if not best[1].missing and len(units) > _MOST_TRIED:
            break
    assert best is not None
    return best[1]


class _Dealing:
    """One random order, dealt out."""

    def __init__(self, units: Sequence[Unit], fractions: Sequence[float], required: frozenset[Label]) -> None:
        self._units = units
        self._required = required
        totals: Counter[Label] = Counter()
        for unit in units:
            totals.update(unit.labels)
        self._images = sum(unit.images for unit in units)
        self._wanted = [{label: fraction * total for label, total in totals.items()} for fraction in fractions]
        for label in required & totals.keys():
            self._want_one(label)
        self._left = Counter(label for unit in units for label in unit.labels if label in required)  # undealt units
        self._shown: list[dict[Label, int]] = [dict.fromkeys(totals, 0) for _ in fractions]
        self._room = [fraction * self._images for fraction in fractions]
        self._dealt = [0] * len(fractions)

    def run(self, order: Sequence[int], draw: random.Random, fixed: Mapping[int, int]) -> list[int]:
        parts = [-1] * len(self._units)
        for number, part in fixed.items():
            parts[number] = part
            self._deal(self._units[number], part)
        free = [number for number in order if number not in fixed]
        draw.shuffle(free)
        for number in _rarest_first(self._units, free):
            parts[number] = self._choose(self._units[number], draw)
            self._deal(self._units[number], parts[number])
        return parts

    def missing(self) -> list[tuple[Label, int]]:
        pairs = [(label, part) for part, shown in enumerate(self._shown) for label, count in shown.items() if not count]
        return [(label, part) for label, part in pairs if label in self._required]

    def shares(self) -> list[float]:
        return [dealt / self._images for dealt in self._dealt]

    def chi_squared(self) -> float:
        labels = sum(
            (shown[label] - target) ** 2 / target
            for shown, wanted in zip(self._shown, self._wanted, strict=True)
            for label, target in wanted.items()
        )
        return labels + sum((dealt - room) ** 2 / room for dealt, room in zip(self._dealt, self._room, strict=True))

    def _want_one(self, label: Label) -> None:
        """Makes each part but the first want at least one, at the cost of the first."""
        for wanted in self._wanted[1:]:
            more = max(1.0 - wanted[label], 0.0)
            wanted[label] += more
            self._wanted[0][label] = max(self._wanted[0][label] - more, _LEAST_WANTED)

    def _choose(self, unit: Unit, draw: random.Random) -> int:
        def need(part: int) -> tuple[float, float]:
            wanted, shown = self._wanted[part], self._shown[part]
            lessened = _lessened(unit.images, self._dealt[part], self._room[part])
            for label, count in unit.labels.items():
                lessened += _lessened(count, shown[label], wanted[label])
            return round(lessened, 9), draw.random()

        return max(self._urgent(unit) or range(len(self._wanted)), key=need)

    def _urgent(self, unit: Unit) -> set[int]:
        """The parts without a required label of which no more units are left than there are such parts."""
        urgent: set[int] = set()
        for label in unit.labels:
            if 0 < self._left[label] < len(self._wanted):
                without = {part for part, shown in enumerate(self._shown) if not shown[label]}
                urgent |= without if len(without) >= self._left[label] else set()
        return urgent

    def _deal(self, unit: Unit, part: int) -> None:
        for label in unit.labels:
            self._left[label] -= 1
        shown = self._shown[part]
        for label, count in unit.labels.items():
            shown[label] += count
        self._dealt[part] += unit.images


def _lessened(more: int, shown: int, wanted: float) -> float:
    """The amount by which (shown - wanted)^2 / wanted decreases if `more` are shown."""
    return more * (2 * (wanted - shown) - more) / wanted


def _rarest_first(units: Sequence[Unit], order: Sequence[int]) -> Iterator[int]:
    """Yields all units of the label that the fewest of the remaining ones show, the largest first; and so on."""
    of_label: defaultdict[Label, list[int]] = defaultdict(list)
    for number in order:
        for label in units[number].labels:
            of_label[label].append(number)
    left = {label: len(numbers) for label, numbers in of_label.items()}
    places = {label: place for place, label in enumerate(of_label)}  # of the random order, for ties
    waiting = [(count, places[label], label) for label, count in left.items()]
    heapq.heapify(waiting)
    done: set[int] = set()
    while waiting:
        count, place, label = heapq.heappop(waiting)
        if count != left[label]:
            heapq.heappush(waiting, (left[label], place, label))
            continue
        numbers = [number for number in of_label[label] if number not in done]
        for number in sorted(numbers, key=lambda one: (-units[one].labels[label], -units[one].images)):
            yield number
            done.add(number)
            for other in units[number].labels:
                left[other] -= 1
