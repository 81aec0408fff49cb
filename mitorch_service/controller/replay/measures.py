"""The measures of a replay: waiting times, slowdown, utilisation, cost, fairness."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from mitorch_service.controller.replay.work import Course, Nodes, Placed

_SHORT = 10.0  # seconds: what is shorter counts as this long, so that it does not outweigh all others


@dataclass(frozen=True)
class Spread:
    """A distribution in four numbers."""

    mean: float
    median: float
    p95: float
    most: float


@dataclass(frozen=True)
class ShareMeasures:
    """The measures of one user or team."""

    share: str
    trainings: int
    node_hours: float
    wait: float  # seconds, mean
    slowdown: float  # mean
    rate: float | None  # nodes that it had, on average, while some of its trainings waited; None if none ever did


@dataclass(frozen=True)
class Measures:
    """The measures of one course of events. Times are seconds."""

    trainings: int
    never: int  # that no cluster can hold
    passes: int
    wait: Spread
    slowdown: Spread  # bounded: see `slowdown`
    length: float  # from the first submission to the last end
    utilisation: float  # node seconds used of those that there were meanwhile
    node_hours: float
    cost: float
    backfilled: int
    fairness: float | None  # Jain's index of the shares' rates by their weights; None with fewer than two
    shares: Sequence[ShareMeasures]


def measure(course: Course, clusters: Sequence[Nodes], by: str, weight: Callable[[str], float]) -> Measures:
    """Returns the measures of a course; `by`: whether shares are those of users or of teams, each with its weight."""
    placed = course.placed
    prices = {one.name: one.price for one in clusters}
    length = max((one.end for one in placed), default=0.0) - min((one.work.submitted for one in placed), default=0.0)
    used = sum(_node_seconds(one) for one in placed)
    there = length * sum(one.nodes for one in clusters)
    shares = _shares(placed, (lambda one: one.work.user) if by == "user" else (lambda one: one.work.team))
    rates = [one.rate / weight(one.share) for one in shares if one.rate is not None]
    return Measures(
        trainings=len(placed),
        never=len(course.never),
        passes=course.passes,
        wait=_spread([waited(one) for one in placed]),
        slowdown=_spread([slowdown(one) for one in placed]),
        length=length,
        utilisation=used / there if there else 0.0,
        node_hours=used / 3600,
        cost=sum(_node_seconds(one) / 3600 * prices[one.cluster] for one in placed),
        backfilled=sum(one.backfilled for one in placed),
        fairness=jain(rates) if len(rates) > 1 else None,
        shares=shares,
    )


def waited(one: Placed) -> float:
    """Returns the seconds from its submission to its start."""
    return one.start - one.work.submitted


def slowdown(one: Placed) -> float:
    """Returns the bounded slowdown: how many times as long as it ran it took to be done (Feitelson et al. 1997,
    https://doi.org/10.1007/3-540-63574-2_14)."""
    return max(1.0, (waited(one) + one.work.seconds) / max(one.work.seconds, _SHORT))


def jain(values: Sequence[float]) -> float:
    """Returns Jain's index of fairness: 1 where all have the same, 1/n where one has it all (Jain, Chiu and Hawe 1984,
    https://arxiv.org/abs/cs/9809099)."""
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else 1.0


def _node_seconds(one: Placed) -> float:
    return (one.end - one.start) * one.work.nodes


def _spread(values: Iterable[float]) -> Spread:
    ordered = sorted(values)
    if not ordered:
        return Spread(0.0, 0.0, 0.0, 0.0)
    last = len(ordered) - 1
    middle = (ordered[last // 2] + ordered[(last + 1) // 2]) / 2
    return Spread(sum(ordered) / len(ordered), middle, ordered[round(0.95 * last)], ordered[-1])


def _shares(placed: Iterable[Placed], share: Callable[[Placed], str]) -> list[ShareMeasures]:
    groups: defaultdict[str, list[Placed]] = defaultdict(list)
    for one in placed:
        groups[share(one)].append(one)
    return [
        ShareMeasures(
            name,
            len(group),
            sum(_node_seconds(one) for one in group) / 3600,
            sum(waited(one) for one in group) / len(group),
            sum(slowdown(one) for one in group) / len(group),
            _rate(group),
        )
        for name, group in sorted(groups.items())
    ]


def _rate(group: Iterable[Placed]) -> float | None:
    """The nodes that these held, on average over the time in which some of them waited."""
    changes: list[tuple[float, int, int]] = []  # when, how many more wait, how many more nodes are held
    for one in group:
        changes += [(one.work.submitted, 1, 0), (one.start, -1, one.work.nodes), (one.end, 0, -one.work.nodes)]
    last, waiting, held, time, got = 0.0, 0, 0, 0.0, 0.0
    for at, more, nodes in sorted(changes):
        if waiting > 0:
            time, got = time + at - last, got + held * (at - last)
        last, waiting, held = at, waiting + more, held + nodes
    return got / time if time > 0 else None
