"""Uses nodes that are reserved for a training of several nodes, without delaying it. Pure.

A training behind it may have some of them if the longest of its kind would end before the reserved nodes can be
complete: no earlier than the runs that hold the missing ones end, each as soon as the shortest of its kind. So nothing
starts on reserved nodes unless durations of both kinds are recorded; and what was backfilled has ended before the
training could have begun, as long as no run is longer, or shorter, than those of its kind were (EASY backfilling, with
bounds in the place of the users' estimates: Lifka 1995, https://doi.org/10.1007/3-540-60153-8_35).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime

from mitorch_service.controller.plan.placing.duration_bounds import DurationBounds
from mitorch_service.models.training import TrainingRow


class Backfill:
    """The runs of one moment, and when they may end."""

    def __init__(self, now: datetime, bounds: DurationBounds, active: Iterable[TrainingRow]) -> None:
        self._bounds = bounds
        self._ends: defaultdict[str, list[tuple[float, int]]] = defaultdict(list)  # cluster -> seconds, nodes
        self._behind: Counter[tuple[str, str]] = Counter()
        for row in active:
            attempt = row.current_attempt()
            if attempt is None:
                continue
            self._ends[attempt.cluster].append((bounds.least_remaining(row, now), attempt.nodes))
            if attempt.behind is not None:
                self._behind[attempt.cluster, attempt.behind] += attempt.nodes

    def lent(self, cluster: str, training_id: str) -> int:
        """Returns the reserved nodes of a training that others have meanwhile."""
        return self._behind[cluster, training_id]

    def start(self, row: TrainingRow, cluster: str, nodes: int) -> None:
        """Notes a run that is started in this pass."""
        self._ends[cluster].append((self._bounds.shortest(row), nodes))

    def seconds_until(self, cluster: str, lacking: int) -> float:
        """Returns after how many seconds so many more nodes may be free, at the earliest; 0 if nobody knows."""
        for seconds, nodes in sorted(self._ends[cluster]):
            lacking -= nodes
            if lacking <= 0:
                return seconds
        return 0.0

    def ends_within(self, row: TrainingRow, seconds: float) -> bool:
        """Whether the longest of its kind would end by then."""
        longest = self._bounds.longest(row)
        return longest is not None and longest <= seconds
