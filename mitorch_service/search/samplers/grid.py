"""Grid search: each point of a finite space once, in the order of the config's text."""

from __future__ import annotations

from mitorch_service.search.base import History, Sampler
from mitorch_service.search.space.size import point_with_number
from mitorch_service.search.space.space import Point


class GridSampler(Sampler):
    """Gives trial k the k-th point of the grid; the last parameter of the text changes first."""

    def propose(self, history: History, number: int, salt: int) -> Point:
        return point_with_number(self.study.space, (number + salt) % int(history.size))
