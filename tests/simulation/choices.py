"""Everything that is left to chance in a history: drawn from a seed, or given in order to replay or shorten one."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Sequence


class Choices:
    """Numbers that decide. Number 0 is always what would happen without the simulation's doing, so that the history
    that zeros give is the calmest one."""

    def __init__(self, seed: int | None, given: Sequence[int] = ()) -> None:
        """`seed` None: the numbers are those given, then zeros."""
        self._random = None if seed is None else random.Random(seed)
        self._given = given
        self.made: list[int] = []

    @property
    def exhausted(self) -> bool:
        """Whether only zeros will follow."""
        return self._random is None and len(self.made) >= len(self._given)

    def below(self, limit: int) -> int:
        """Returns a number from 0 to `limit` - 1."""
        chance = self._random
        number = min(self._next(), limit - 1) if chance is None else int(chance.random() * limit)
        self.made.append(number)
        return number

    def weighed(self, ends: Sequence[int]) -> int:
        """Returns the position of one of several weights, given as their running sums."""
        chance = self._random
        number = min(self._next(), len(ends) - 1) if chance is None else bisect_right(ends, chance.random() * ends[-1])
        self.made.append(number)
        return number

    def one_in(self, number: int) -> bool:
        """Whether something with a chance of 1 in `number` happens."""
        return self.below(number) == number - 1

    def _next(self) -> int:
        return self._given[len(self.made)] if len(self.made) < len(self._given) else 0
