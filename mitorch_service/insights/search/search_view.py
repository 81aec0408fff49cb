"""All that a page of a search shows of its trials, read once and kept: up to ten thousand trials take a second or
two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mitorch_service.controller.observe.cost import Cost
from mitorch_service.insights.cost import cost_of_job
from mitorch_service.insights.search.search_columns import Column, columns
from mitorch_service.insights.search.search_effort import Effort
from mitorch_service.insights.search.search_findings import Share, progress_finding, saving_finding
from mitorch_service.insights.search.search_history import (
    Improvement,
    SearchHistory,
    TrialPoint,
    best_first,
    front_numbers,
    improvements,
    read_history,
)
from mitorch_service.insights.search.search_insight import SearchInsight
from mitorch_service.insights.search.trial_timeline import Timeline, trial_timeline
from mitorch_service.insights.waiting.remaining import job_remaining
from mitorch_service.models.search.job import Job
from mitorch_service.models.status import ACTIVE_JOBS
from mitorch_service.search.space.space import parse_space
from mitorch_service.stores.base import Store

IMPORTANCE_SECONDS = 8.0  # after which no further resample is begun


@dataclass(frozen=True)
class Importance:
    """The importance of the parameters for each objective."""

    shares: dict[str, dict[str, Share]]  # objective -> parameter -> share; empty where it cannot be told
    resamples: int
    results: int  # trials that had a value then


@dataclass(frozen=True)
class SearchView:
    """A search at one moment."""

    job: Job
    trials: Sequence[TrialPoint]  # by number
    is_whole: bool  # False: only the latest
    columns: Sequence[Column]
    improvements: Sequence[Improvement]  # in the first objective
    front: frozenset[int]  # numbers; of several objectives only
    timeline: Timeline | None
    effort: Effort
    cost: Cost | None
    remaining: timedelta | None
    findings: Sequence[str]
    warnings: Sequence[str]

    @property
    def results(self) -> int:
        """How many trials have a value."""
        return len(self.improvements)


def read_view(store: Store, job: Job, now: datetime) -> tuple[SearchView, SearchInsight]:
    """Returns the view, and the insight from which the importance can be computed: it holds the documents, so let go of
    it afterwards."""
    history = read_history(store, job, now)
    insight = SearchInsight(store, job, now, history.accounts, history.rows)
    return _view(history, insight, now), insight


def read_importance(insight: SearchInsight, view: SearchView) -> Importance:
    """Takes seconds, in a process of its own: see `search/analysis/weighing.py`. Raises RuntimeError."""
    found, resamples = insight.importance_apart(IMPORTANCE_SECONDS)
    shares = {name: {key: Share(*share) for key, share in of.items()} for name, of in found.items()}
    return Importance(shares, resamples, view.results)


def sample_of_curves(view: SearchView, top: int, rest: int) -> list[TrialPoint]:
    """The best trials, and of all others that have run as many as wanted, evenly by number."""
    best = best_first(view.trials, view.job.search.resolved_direction())[:top]
    chosen = {one.number for one in best}
    others = [one for one in view.trials if one.number not in chosen and one.epochs > 0]
    if len(others) > rest:
        others = [others[index * len(others) // rest] for index in range(rest)]
    return [*others, *best]


def _view(history: SearchHistory, insight: SearchInsight, now: datetime) -> SearchView:
    job, trials = history.job, history.trials
    directions = job.search.directions()
    counts: dict[str, int] = {}
    for trial in trials:
        counts[trial.status.value] = counts.get(trial.status.value, 0) + 1
    found = improvements(history)
    several = len(directions) > 1
    progress = None if several else progress_finding(found, job.status, directions[0])
    accounts = history.accounts if history.is_whole else None
    space, _ = parse_space(job.config)
    return SearchView(
        job=job,
        trials=trials,
        is_whole=history.is_whole,
        columns=columns(space, trials),
        improvements=found,
        front=frozenset(front_numbers(trials, directions)) if several else frozenset(),
        timeline=trial_timeline(trials, history.accounts, now, job.status in ACTIVE_JOBS),
        effort=insight.effort,
        cost=cost_of_job(accounts, None, now),
        remaining=job_remaining(job, counts, accounts, now),
        findings=[line for line in (progress, saving_finding(insight.effort)) if line],
        warnings=insight.warnings(),
    )
