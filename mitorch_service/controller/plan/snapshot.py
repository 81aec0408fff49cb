"""What a pass has seen: the plan's question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mitorch_service.backends.base import Capacity, RunStatus
from mitorch_service.controller.plan.actions import MergeFront
from mitorch_service.controller.plan.paused_trials import PausedTrials
from mitorch_service.controller.plan.placement import Cluster
from mitorch_service.controller.plan.refit import RefitState
from mitorch_service.models.job import BestTrial, Job, SettledCost
from mitorch_service.models.training import (
    TrainingRow,
)
from mitorch_service.search.base import TrialRecord


@dataclass(frozen=True)
class JobState:
    """An active job with what its trials look like now."""

    job: Job
    counts: Mapping[str, int]  # trials by status
    last_number: int | None  # the highest trial number created
    best: BestTrial | None
    open_trials: Sequence[TrainingRow] = ()  # looked up only where some of them are to be canceled
    cost: float = 0.0  # of all trials until now; added up only where the search has a max_cost
    settled: SettledCost | None = None  # what of it need not be read again
    records: Sequence[TrialRecord] = ()  # what the search is told: see `history`
    refit: RefitState | None = None  # its final training, once there is one
    merge: MergeFront | None = None  # what the front of several objectives has not been told: see `front`
    paused_trials: PausedTrials | None = None  # of its paused trials, where some may go on

    @property
    def spent(self) -> bool:
        """Whether the budget is used up: no trial is to start any more."""
        limit = self.job.search.max_cost
        return limit is not None and self.cost >= limit


@dataclass(frozen=True)
class Snapshot:
    """What a pass has seen. A cluster that did not answer is missing from `clusters` and `runs`."""

    queue: Sequence[TrainingRow] = ()  # the head of the queue, in order
    active: Sequence[TrainingRow] = ()
    runs: Mapping[str, RunStatus | None] = field(default_factory=dict)  # by run name
    clusters: Mapping[str, Capacity] = field(default_factory=dict)  # in order of preference
    configured: frozenset[str] = frozenset()  # names of all clusters, answering or not
    jobs: Sequence[JobState] = ()
    facts: Mapping[str, Cluster] = field(default_factory=dict)  # what the settings say of each cluster
    hosts: Mapping[str, frozenset[str]] = field(default_factory=dict)  # where the data lies, by data set name:version
