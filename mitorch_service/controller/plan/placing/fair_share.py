"""The order in which trainings are served where users or teams share the clusters. Pure.

Within a priority the next training is that of the share with the least use for its weight: the node hours that it has
used, each halved with every half-life since, and an hour for each node that it holds, so that the free nodes of one
pass do not all go to one. Within a share it is first come, first served. A share of which a training has waited for
`max_wait`, while none of it was started, is served first, once. With the use decayed as in Slurm's fair share
(https://slurm.schedmd.com/priority_multifactor.html), but as an order rather than a factor among others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from mitorch_service.models.fair_share.share import share_name, share_of
from mitorch_service.models.fair_share.usage import ShareUsage, Usage, decayed_hours
from mitorch_service.models.training import TrainingRow
from mitorch_service.placement_settings.policy import FairShare
from mitorch_service.wording.counted import counted

_HELD = 1.0  # node hours that a node counts as soon as it is held


@dataclass
class _Standing:
    weight: float
    used: float = 0.0  # node hours, decayed
    held: int = 0  # nodes
    started_at: datetime | None = None  # when it was last given nodes

    def score(self) -> float:
        """The use for its weight; the least is served next."""
        return (self.used + _HELD * self.held) / self.weight


@dataclass(frozen=True)
class ShareReport:
    """The part that a share is due, and the part that it has used."""

    share: str
    weight: float
    due: float  # of 1: its weight among the weights of those that wait, run or have used something
    used: float  # of 1
    node_hours: float  # decayed
    nodes: int  # held now


class Shares:
    """The standing of all shares at one moment; changes as trainings are given nodes."""

    def __init__(
        self, now: datetime, settings: FairShare, usage: Usage | None, active: Iterable[TrainingRow] = ()
    ) -> None:
        """`usage`: of attempts that have ended; `active`: trainings that hold nodes."""
        self._now = now
        self._settings = settings
        past: Mapping[str, ShareUsage] = {} if usage is None else usage.decayed(now, settings.half_life)
        self._standings: dict[str, _Standing] = {}
        for share, one in past.items():
            standing = self._of(share)
            standing.used, standing.started_at = one.node_hours, one.started_at
        for row in active:
            self._add_active(row)

    def share(self, row: TrainingRow) -> str:
        """Returns the share that a training is counted for."""
        return share_of(self._settings.by, row.tags, row.submitted_by)

    def start(self, row: TrainingRow) -> None:
        """Counts the nodes that a training was given."""
        standing = self._of(self.share(row))
        standing.held += 1 if row.resources is None else row.resources.nodes
        standing.started_at = self._now

    def serve(self, waiting: Sequence[TrainingRow]) -> Iterator[TrainingRow]:
        """Yields the trainings, of which each is `priority` before those of a greater number, in the order in which
        they are served; `start` in between changes it. `waiting`: in the order of priority, then age."""
        for _, rows in groupby(waiting, key=lambda row: row.priority):
            queues: dict[str, deque[TrainingRow]] = {}
            for row in rows:
                queues.setdefault(self.share(row), deque()).append(row)
            yield from self._serve_first(queues)
            while queues:
                share = min(queues, key=lambda share: (self._of(share).score(), queues[share][0].arrival))
                yield queues[share].popleft()
                if not queues[share]:
                    del queues[share]

    def reports(self, waiting: Iterable[TrainingRow] = ()) -> list[ShareReport]:
        """Returns all shares, the one with the least use for its weight first."""
        for row in waiting:
            self._of(self.share(row))
        weights = sum(one.weight for one in self._standings.values())
        used = sum(one.used for one in self._standings.values())
        ordered = sorted(self._standings.items(), key=lambda item: (item[1].score(), item[0]))
        return [
            ShareReport(share, one.weight, one.weight / weights, one.used / used if used else 0.0, one.used, one.held)
            for share, one in ordered
        ]

    def text(self, row: TrainingRow, waiting: Iterable[TrainingRow]) -> str:
        """Returns what a training's share is due and what it has used, for people."""
        share, reports = self.share(row), self.reports([row, *waiting])
        place = next(number for number, one in enumerate(reports) if one.share == share)
        mine, settings = reports[place], self._settings
        return (
            f"{settings.by} {share_name(share, settings.by)}: your share is {mine.due:.0%} (weight {mine.weight:g}), "
            f"you have used {mine.used:.0%} ({mine.node_hours:.1f} node hours, halved every {settings.half_life:g} h), "
            f"and hold {counted(mine.nodes, 'node')} now; {place} of {len(reports)} are before you at equal priority"
        )

    def _serve_first(self, queues: dict[str, deque[TrainingRow]]) -> Iterator[TrainingRow]:
        """Yields the head of each share that has waited too long, the longest first."""
        latest = self._now - timedelta(hours=self._settings.max_wait)
        since = {share: self._waits_since(share, rows[0]) for share, rows in queues.items()}
        for share in sorted((share for share in queues if since[share] <= latest), key=lambda share: since[share]):
            yield queues[share].popleft()
            if not queues[share]:
                del queues[share]

    def _waits_since(self, share: str, head: TrainingRow) -> datetime:
        began = head.status_times.get("new", head.created_at)
        last = self._of(share).started_at
        return began if last is None else max(began, last)

    def _add_active(self, row: TrainingRow) -> None:
        attempt, standing = row.current_attempt(), self._of(self.share(row))
        if attempt is None:
            return
        standing.held += attempt.nodes
        if standing.started_at is None or standing.started_at < attempt.queued_at:
            standing.started_at = attempt.queued_at
        if attempt.started_at is not None:
            hours = decayed_hours(attempt.started_at, self._now, self._now, self._settings.half_life)
            standing.used += hours * attempt.nodes

    def _of(self, share: str) -> _Standing:
        if share not in self._standings:
            self._standings[share] = _Standing(self._settings.weight(share))
        return self._standings[share]
