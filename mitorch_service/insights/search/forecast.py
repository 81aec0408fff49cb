"""Predicts what a search would do and take, before anything is queued."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mitorch_service.controller.plan.search.expansion import expand, study_of
from mitorch_service.controller.plan.search.paused_trials import rungs_of
from mitorch_service.insights.search.prediction import (
    hours_per_epoch,
    model_name,
    predicted_promotion_share,
    predicted_share,
)
from mitorch_service.models.search.job import Job
from mitorch_service.models.training import Training
from mitorch_service.search.space.size import size
from mitorch_service.search.space.space import Space, parse_space
from mitorch_service.stores.base import Store

_EARLIER = 100  # trainings whose times are averaged


@dataclass(frozen=True)
class Forecast:
    """The predicted course of a search."""

    job: Job
    space: Space
    trials: Sequence[Training]  # the first ones, as the next pass would create them
    rungs: list[int]  # epochs after which trials pause
    max_epochs: int  # of the longest trial; 0: a script whose epochs are not known
    share: float  # of all trials' epochs that is run
    hours_per_epoch: float | None  # node hours, as earlier trainings took; None: there are none

    @property
    def most_trials(self) -> int:
        """The number of trials; each point of a finite space is tried once."""
        return int(min(self.job.search.max_trials, size(self.space)))

    @property
    def all_epochs(self) -> int:
        """The epochs of all trials, run to their end."""
        return self.max_epochs * self.most_trials

    @property
    def run_epochs(self) -> float:
        """The epochs that early stopping leaves."""
        return self.share * self.all_epochs

    @property
    def node_hours(self) -> float | None:
        return None if self.hours_per_epoch is None else self.hours_per_epoch * self.run_epochs


def forecast(job: Job, store: Store | None = None) -> Forecast:
    """Expands a job that is not queued yet; without a store the time is not predicted."""
    space, _ = parse_space(job.config)
    trials = expand(job, study_of(job, space), None, 0, job.created_at)
    longest = max(trial.max_epochs for trial in trials)
    return Forecast(
        job=job,
        space=space,
        trials=trials,
        rungs=rungs_of(job) if longest else [],
        max_epochs=longest,
        share=_share(job, longest) if longest else 1.0,
        hours_per_epoch=_hours_per_epoch(job, trials, store) if longest and store is not None else None,
    )


def _share(job: Job, longest: int) -> float:
    rule = job.search.early_stopping
    if rule is not None and job.search.resume_promoted:
        return predicted_promotion_share(rule, longest, job.search.max_trials)
    return predicted_share(rule, longest, job.search.max_trials)


def _hours_per_epoch(job: Job, trials: Sequence[Training], store: Store) -> float | None:
    earlier = store.jobs.recent_trainings(job.dataset.name, _EARLIER)
    models = {name for name in map(model_name, trials) if name}
    return hours_per_epoch(earlier, models, job.created_at)
