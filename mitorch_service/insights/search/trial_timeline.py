"""The trials of a search on their clusters over time: how many ran, which ones, and when nothing did. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import heappop, heappush

from mitorch_service.insights.search.search_history import TrialPoint
from mitorch_service.stores.verbs.costs import Account

MOST_BARS = 600  # beyond, only how many ran at a time is told
MOST_STEPS = 600  # of one cluster
_LEAST_GAP = timedelta(minutes=1)
_MOST_GAPS = 100


@dataclass(frozen=True)
class Bar:
    """One attempt of a trial."""

    number: int
    start: datetime
    end: datetime
    outcome: str
    lane: int  # from 0: those of one lane do not overlap


@dataclass(frozen=True)
class Lanes:
    """The attempts on one cluster."""

    cluster: str
    bars: Sequence[Bar]  # empty if there are too many
    attempts: int
    lanes: int  # the most attempts at a time
    steps: Sequence[tuple[datetime, int]]  # from then on so many ran


@dataclass(frozen=True)
class Timeline:
    """The attempts on all clusters."""

    start: datetime
    end: datetime
    clusters: Sequence[Lanes]
    gaps: Sequence[tuple[datetime, datetime]]  # nothing ran, between the first start and the end; the longest ones
    idle: timedelta  # in all gaps


def trial_timeline(
    trials: Iterable[TrialPoint], accounts: Iterable[Account], now: datetime, goes_on: bool
) -> Timeline | None:
    """Returns None before the first start. `goes_on`: the search has not ended, so that the time until now counts."""
    numbers = {trial.id: trial.number for trial in trials}
    spans: dict[str, list[tuple[datetime, datetime, int, str]]] = {}
    for account in accounts:
        for attempt in account.attempts:
            if attempt.started_at is not None and account.id in numbers:
                end = max(attempt.ended_at or now, attempt.started_at)
                outcome = attempt.outcome.value if attempt.outcome else "running"
                spans.setdefault(attempt.cluster, []).append((attempt.started_at, end, numbers[account.id], outcome))
    if not spans:
        return None
    every = sorted((start, end) for found in spans.values() for start, end, _, _ in found)
    last = max(end for _, end in every)
    end = max(now, last) if goes_on else last
    gaps = _gaps(every, end)
    total = sum((end - start for start, end in gaps), timedelta())
    longest = sorted(sorted(gaps, key=lambda gap: gap[0] - gap[1])[:_MOST_GAPS])
    few = len(every) <= MOST_BARS
    clusters = [_lanes(cluster, sorted(found), few) for cluster, found in sorted(spans.items())]
    return Timeline(every[0][0], end, clusters, longest, total)


def _gaps(spans: Sequence[tuple[datetime, datetime]], end: datetime) -> list[tuple[datetime, datetime]]:
    """The times between sorted spans, of a minute or more."""
    found, busy_until = [], spans[0][1]
    for start, until in [*spans, (end, end)]:
        if start - busy_until >= _LEAST_GAP:
            found.append((busy_until, start))
        busy_until = max(busy_until, until)
    return found


def _lanes(cluster: str, spans: Sequence[tuple[datetime, datetime, int, str]], with_bars: bool) -> Lanes:
    """Each span into the lowest lane that is free at its start."""
    busy: list[tuple[datetime, int]] = []
    free: list[int] = []
    bars, count = [], 0
    for start, end, number, outcome in spans:
        while busy and busy[0][0] <= start:
            heappush(free, heappop(busy)[1])
        if free:
            lane = heappop(free)
        else:
            lane, count = count, count + 1
        heappush(busy, (end, lane))
        bars.append(Bar(number, start, end, outcome, lane))
    steps = _thinned(_steps(bars))
    return Lanes(cluster, bars if with_bars else [], len(bars), count, steps)


def _steps(bars: Sequence[Bar]) -> list[tuple[datetime, int]]:
    changes: dict[datetime, int] = {}
    for bar in bars:
        changes[bar.start] = changes.get(bar.start, 0) + 1
        changes[bar.end] = changes.get(bar.end, 0) - 1
    running, steps = 0, []
    for at in sorted(changes):
        running += changes[at]
        steps.append((at, running))
    return steps


def _thinned(steps: list[tuple[datetime, int]]) -> list[tuple[datetime, int]]:
    """Keeps the lowest and the highest step of each column, as a chart shows no more."""
    if len(steps) <= MOST_STEPS:
        return steps
    start, width = steps[0][0], (steps[-1][0] - steps[0][0]) / (MOST_STEPS // 2 - 1)
    columns: dict[int, list[tuple[datetime, int]]] = {}
    for step in steps:
        columns.setdefault(int((step[0] - start) / width), []).append(step)
    ends = [steps[0], steps[-1]]
    lowest = [min(column, key=_running) for column in columns.values()]
    highest = [max(column, key=_running) for column in columns.values()]
    return sorted({*ends, *lowest, *highest})


def _running(step: tuple[datetime, int]) -> int:
    return step[1]
