"""The snapshot that a pass observes: the input of the plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mitorch_service.backends.base import Capacity, RunStatus
from mitorch_service.controller.plan.actions import MergeFront
from mitorch_service.controller.plan.leaked_runs import Leak
from mitorch_service.controller.plan.placing.duration_bounds import DurationBounds
from mitorch_service.controller.plan.placing.placement import Cluster
from mitorch_service.controller.plan.search.paused_trials import PausedTrials
from mitorch_service.controller.plan.search.refit import RefitState
from mitorch_service.errors import Problem
from mitorch_service.models.fair_share.usage import Usage
from mitorch_service.models.search.job import BestTrial, Job, SettledCost
from mitorch_service.models.status import ENDED_BADLY, OPEN
from mitorch_service.models.training import TrainingRow
from mitorch_service.placement_settings.policy import FIRST_COME, Policy
from mitorch_service.search.base import Study, TrialRecord


@dataclass(frozen=True)
class JobState:
    """An active job and the present state of its trials."""

    job: Job
    study: Study  # the job as the search room sees it, with its space, parsed once
    counts: Mapping[str, int]  # trials by status
    last_number: int | None  # the highest trial number created
    best: BestTrial | None
    open_trials: Sequence[TrainingRow] = ()  # read only if some of them are to be canceled
    cost: float = 0.0  # of all trials until now; computed only if the search has a max_cost
    settled: SettledCost | None = None  # the final part of it, which need not be read again
    records: Sequence[TrialRecord] = ()  # the history that the sampler gets: see observe/history.py
    refit: RefitState | None = None  # its final training, once there is one
    merge: MergeFront | None = None  # the Pareto front with the trials that ended since it was stored
    paused_trials: PausedTrials | None = None  # where some may be resumed
    space_problems: Sequence[Problem] = ()  # of a space that cannot be parsed

    @property
    def open_count(self) -> int:
        """The number of trials that have not ended."""
        return sum(self.counts.get(status, 0) for status in OPEN)

    @property
    def failed_count(self) -> int:
        """The number of trials that failed or diverged."""
        return sum(self.counts.get(status, 0) for status in ENDED_BADLY)

    @property
    def has_too_many_failures(self) -> bool:
        """Whether more trials failed than `max_failed` allows."""
        limit = self.job.search.max_failed
        return limit is not None and self.failed_count > limit

    @property
    def ends_early(self) -> bool:
        """Whether the job ends before all its trials were created."""
        return self.job.cancel_requested_at is not None or self.has_too_many_failures

    @property
    def spent(self) -> bool:
        """Whether the budget (`max_cost`) is used up: no trial starts any more."""
        limit = self.job.search.max_cost
        return limit is not None and self.cost >= limit

    def is_over(self, now: datetime) -> bool:
        """Whether `max_time` has passed: no more trials are created."""
        limit = self.job.search.max_time
        return limit is not None and now >= self.job.created_at + timedelta(seconds=limit)


@dataclass(frozen=True)
class Snapshot:
    """The observations of one pass. A cluster that did not answer is missing from `clusters` and `runs`."""

    queue: Sequence[TrainingRow] = ()  # the head of the queue, in order
    active: Sequence[TrainingRow] = ()
    runs: Mapping[str, RunStatus | None] = field(default_factory=dict)  # by run name
    clusters: Mapping[str, Capacity] = field(default_factory=dict)  # in order of preference
    configured: frozenset[str] = frozenset()  # names of all clusters, answering or not
    jobs: Sequence[JobState] = ()
    facts: Mapping[str, Cluster] = field(default_factory=dict)  # the settings of each cluster
    hosts: Mapping[str, frozenset[str]] = field(default_factory=dict)  # of a data set's files, by its name:version
    late: frozenset[str] = frozenset()  # ids of new trials whose job had ended before they were added
    recounts: Sequence[Job] = ()  # ended jobs whose trials are to be counted again
    withheld: Mapping[str, str] = field(default_factory=dict)  # data sets no run can read now, with the reason
    leaks: Sequence[Leak] = ()  # runs that no training knows, on the clusters that list their runs
    policy: Policy = FIRST_COME
    usage: Usage | None = None  # what shares have used, where they are counted
    bounds: DurationBounds | None = None  # of durations; read only if nodes may be backfilled
    partial: bool = False  # whether something could not be read
