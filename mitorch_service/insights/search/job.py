"""One job: its trials, best result, cost and the analysis of its search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from mitorch_service.controller.observe.cost import Cost
from mitorch_service.controller.observe.refit import read_refit
from mitorch_service.controller.plan.search.paused_trials import rungs_of
from mitorch_service.controller.plan.search.refit import RefitState
from mitorch_service.insights.cost import accounts_of_job, cost_of_job
from mitorch_service.insights.search.leaderboard import read_leaderboard
from mitorch_service.insights.search.search_effort import Effort
from mitorch_service.insights.search.search_insight import SearchInsight
from mitorch_service.insights.waiting.remaining import job_remaining
from mitorch_service.models.search.job import Job
from mitorch_service.models.status import ACTIVE_JOBS
from mitorch_service.stores.base import Store


@dataclass(frozen=True)
class Best:
    """The best trial of a job with one objective."""

    value: float
    training_id: str


@dataclass(frozen=True)
class JobReport:
    """A job with the state of its search."""

    job: Job
    counts: Mapping[str, int]  # trials by status
    reached: Mapping[int, int]  # rung (epochs) -> trials that reached it; of an active job
    best: Best | None
    final: RefitState | None  # the final training, if there is one
    cost: Cost | None  # None: too many trials to add up
    effort: Effort
    importance: Mapping[str, Mapping[str, float]]  # objective -> parameter -> share of the variation
    warnings: list[str]
    remaining: timedelta | None  # estimated

    @property
    def has_front(self) -> bool:
        """Whether it has a Pareto front in place of a leaderboard."""
        return len(self.job.search.objectives()) > 1


def read_job(store: Store, job_id: str, now: datetime) -> JobReport:
    """Raises NotFound, BrokenDocument."""
    job = store.jobs.get_job(job_id)
    counts = store.trainings.count_trainings(job_id)
    final = read_refit(store, job)
    accounts = accounts_of_job(store, job.id, job.arrival, sum(counts.values()))
    insight = SearchInsight(store, job, now, accounts)
    return JobReport(
        job=job,
        counts=counts,
        reached=_reached(store, job),
        best=_best(store, job),
        final=final,
        cost=cost_of_job(accounts, final.training if final is not None else None, now),
        effort=insight.effort,
        importance=insight.importances(),
        warnings=insight.warnings(),
        remaining=job_remaining(job, counts, accounts, now),
    )


def _reached(store: Store, job: Job) -> dict[int, int]:
    if job.status not in ACTIVE_JOBS:
        return {}
    return {epochs: store.rungs.count_rung(job.id, epochs) for epochs in rungs_of(job)}


def _best(store: Store, job: Job) -> Best | None:
    """The first of the leaderboard; if its documents were deleted, the best trial noted in the job."""
    if len(job.search.objectives()) > 1:
        return None
    leaders = read_leaderboard(store, job, 1)
    if leaders:
        return Best(leaders[0].values[0], leaders[0].training_id)
    return None if job.best is None else Best(job.best.value, job.best.training_id)
