"""Trials on their clusters over time: lanes, how many ran, and when nothing did."""

from __future__ import annotations

from datetime import timedelta

from mitorch_service.controller.observe.cost import Cost
from mitorch_service.insights.search.search_history import TrialPoint
from mitorch_service.insights.search.trial_timeline import MOST_BARS, MOST_STEPS, Timeline, trial_timeline
from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import Attempt
from mitorch_service.stores.verbs.costs import Account
from tests.samples import NOW

Span = tuple[str, int, int | None]  # cluster, minutes of start and end


def timeline(spans: list[Span], now: int = 100, goes_on: bool = False) -> Timeline | None:
    trials, accounts = [], []
    for number, (cluster, start, end) in enumerate(spans):
        ended = None if end is None else NOW + timedelta(minutes=end)
        began = NOW + timedelta(minutes=start)
        attempt = Attempt(
            number=1, cluster=cluster, run_name="r", queued_at=NOW, started_at=began, ended_at=ended, outcome=None
        )
        id, status = str(number), TrainingStatus.COMPLETED
        accounts.append(Account(id=id, status=status, arrival=number, attempts=[attempt]))
        trials.append(TrialPoint(number, id, status, (), None, {}, 0, 0, None, ended, Cost()))
    return trial_timeline(trials, accounts, NOW + timedelta(minutes=now), goes_on)


def minutes(found: Timeline) -> list[tuple[float, float]]:
    return [((start - NOW).total_seconds() / 60, (end - NOW).total_seconds() / 60) for start, end in found.gaps]


def test_trials_at_the_same_time_are_in_lanes_of_their_own() -> None:
    found = timeline([("a", 0, 10), ("a", 5, 20), ("a", 10, 12), ("b", 2, 8)])
    assert found is not None
    a, b = found.clusters
    assert [(bar.number, bar.lane) for bar in a.bars] == [(0, 0), (1, 1), (2, 0)]
    assert (a.lanes, b.lanes) == (2, 1)
    assert [running for _, running in a.steps] == [1, 2, 2, 1, 0]


def test_time_in_which_nothing_ran_on_any_cluster_is_idle() -> None:
    found = timeline([("a", 0, 10), ("b", 5, 20), ("a", 50, 60)])
    assert found is not None
    assert minutes(found) == [(20, 50)] and found.idle == timedelta(minutes=30)
    going_on = timeline([("a", 0, 10)], now=40, goes_on=True)
    assert going_on is not None and minutes(going_on) == [(10, 40)]
    running = timeline([("a", 0, None)], now=40, goes_on=True)
    assert running is not None and minutes(running) == []


def test_nothing_is_drawn_before_the_first_start() -> None:
    assert timeline([]) is None


def test_many_trials_are_told_by_their_number_only() -> None:
    found = timeline([("a", number, number + 3) for number in range(2000)], now=3000)
    assert found is not None
    (lanes,) = found.clusters
    assert MOST_BARS < 2000 and list(lanes.bars) == [] and lanes.attempts == 2000
    assert len(lanes.steps) <= MOST_STEPS + 2
    assert max(running for _, running in lanes.steps) == 3
    assert lanes.steps[-1][1] == 0
