"""What a pass reads: what is active and the head of the queue, never the history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial

from mitorch_service.backends.base import Backend, RunStatus
from mitorch_service.controller.event_log import EventLog
from mitorch_service.controller.observe.budget import job_cost
from mitorch_service.controller.observe.history import read_history
from mitorch_service.controller.observe.pareto_front import read_merge
from mitorch_service.controller.observe.paused_trials import observe_paused_trials
from mitorch_service.controller.pass_report import Counted
from mitorch_service.controller.plan.expansion import failed_count, is_over, room
from mitorch_service.controller.plan.paused_trials import best_of_rungs
from mitorch_service.controller.plan.placement import Cluster, hosts_of
from mitorch_service.controller.plan.refit import read_refit, with_refit
from mitorch_service.controller.plan.snapshot import JobState, Snapshot
from mitorch_service.errors import (
    BrokenDocument,
    NotFound,
)
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.job import BestTrial, Job
from mitorch_service.models.status import OPEN, TrainingStatus
from mitorch_service.models.training import TrainingRow
from mitorch_service.search.samplers.registry import check_installed
from mitorch_service.stores.base import Store
from mitorch_service.stores.requests import Listing

_CLUSTER_SECONDS = 30.0  # for one cluster's capacity, or the status of all its runs, where there are several
_OPEN_TRIALS_A_PASS = 1000
_HEAD_A_PASS = 100  # trainings of the queue that a pass looks at, at least, where some of them want certain clusters
_HEAD_BY_ROOM = 4  # or so many times the free nodes, if that is more


class Observation:
    """Reads the store and asks the clusters. What cannot be read is put aside, so that it holds up nothing."""

    def __init__(
        self, store: Store, backends: Mapping[str, Backend], facts: Mapping[str, Cluster], events: EventLog
    ) -> None:
        self._store, self._backends, self._facts, self._events = store, backends, facts, events

    def snapshot(self, now: datetime) -> Snapshot:
        """Reads what is active and the head of the queue, never the history.

        Jobs are read before the queue and the queue before what is active, the way that trainings go: one that another
        pass moves on meanwhile may be seen twice, which the guards sort out, but is never overlooked.
        """
        jobs = self._observe_jobs(now)
        capacities = {name: backend.capacity for name, backend in self._backends.items()}
        clusters = self._events.answers(capacities, _CLUSTER_SECONDS)
        room = sum(capacity.free for capacity in clusters.values())
        queue = self._observe_queue(room, now)
        active = self._whole(self._store.queue.active_trainings(), now)
        runs: dict[str, RunStatus | None] = {}
        attempts = [attempt for training in active if (attempt := training.current_attempt()) is not None]
        names = {cluster: [a.run_name for a in attempts if a.cluster == cluster] for cluster in clusters}
        describe = {cluster: partial(self._backends[cluster].describe, names[cluster]) for cluster in clusters}
        for found in self._events.answers(describe, _CLUSTER_SECONDS).values():
            runs |= found
        hosts = self._observe_data([*(row.dataset for row in queue), *(state.job.dataset for state in jobs)])
        return Snapshot(queue, active, runs, clusters, frozenset(self._backends), jobs, self._facts, hosts)

    def _observe_queue(self, room: int, now: datetime) -> list[TrainingRow]:
        """The head of the queue: one more than there are free nodes, which those fill that may go anywhere. Where some
        may not, others behind them might: then as many more are read as keeps the cost of a pass bounded."""
        queue = self._whole(self._store.queue.queue_head(room + 1), now)
        if not 0 < room < len(queue) or all(row.resources is None for row in queue):
            return queue
        return self._whole(self._store.queue.queue_head(max(_HEAD_A_PASS, _HEAD_BY_ROOM * room)), now)

    def _observe_data(self, refs: list[DatasetRef]) -> dict[str, frozenset[str]]:
        """Where the data lies, asked only if some cluster has data near it."""
        hosts: dict[str, frozenset[str]] = {}
        if not any(cluster.data for cluster in self._facts.values()):
            return hosts
        for ref in {str(ref): ref for ref in refs}.values():
            try:
                hosts[str(ref)] = hosts_of(self._store.datasets.get_dataset(ref))
            except (NotFound, BrokenDocument):
                continue  # its run will say so; nothing lies near it
        return hosts

    def _whole(self, listing: Listing[TrainingRow], now: datetime) -> list[TrainingRow]:
        """Those that can be worked with; the others are put aside, so that they hold up nothing."""
        whole, broken = [], listing.broken
        for training in listing.items:
            least = 0 if training.status == TrainingStatus.NEW else 1
            if least <= training.attempt <= len(training.attempts):
                whole.append(training)
            else:
                reason = f"it is {training.status}, but has no attempt {training.attempt}"
                broken.append(BrokenDocument("training", training.id, reason))
        self._quarantine_trainings(broken, now)
        return whole

    def _observe_jobs(self, now: datetime) -> list[JobState]:
        jobs = self._store.jobs.active_jobs()
        for broken in jobs.broken:
            self._store.jobs.quarantine_job(broken.key, now, broken.reason)
            text = f"job {broken.key} failed: its document cannot be read: {broken.reason}"
            self._events.note(text, Counted.JOBS_ENDED, failed=True)
        states = []
        for job in jobs.items:
            with self._events.going_on():
                states.append(self.job_state(job, now))
        return states

    def job_state(self, job: Job, now: datetime) -> JobState:
        # First the number, then the counts: trials that another pass adds in between are counted, never overlooked.
        last_number = self._store.jobs.last_trial_number(job.id)
        counts = self._store.trainings.count_trainings(job.id)
        open_count = sum(counts.get(status, 0) for status in OPEN)
        failed, limit = failed_count(counts), job.search.max_failed
        winding_up = job.cancel_requested_at is not None or (limit is not None and failed > limit)
        refit = read_refit(self._store, job)
        best = with_refit(best_trial(self._store, job), refit, job.search.objectives()[0])
        state = JobState(job, counts, last_number, best, refit=refit, merge=read_merge(self._store, job))
        if job.search.max_cost is not None:
            cost, settled = job_cost(self._store, job, open_count, now)
            state = replace(state, cost=cost, settled=settled)
        if job.search.pauses and state.best is None:
            best = best_of_rungs(self._store, job) or job.best  # a pass that has begun to end it may have died
            state = replace(state, best=best)
        if winding_up or state.spent:
            more = [refit.training] if refit is not None and refit.training is not None and refit.is_open else []
            trials = self._store.jobs.open_trials(job.id, _OPEN_TRIALS_A_PASS).items
            return replace(state, open_trials=[*trials, *more])
        if refit is not None:
            return state
        state = replace(state, paused_trials=observe_paused_trials(self._store, job, counts, last_number, open_count))
        if is_over(job, now) or room(job, last_number, open_count, failed) == 0:
            return state
        with self._events.going_on():  # without the packages the plan leaves the job as it is
            check_installed(job.search.algorithm)
        return replace(state, records=read_history(self._store, job, last_number))

    def _quarantine_trainings(self, broken: list[BrokenDocument], now: datetime) -> None:
        for document in broken:
            self._store.queue.quarantine_training(document.key, now, document.reason)
            text = f"training {document.key} failed: its document cannot be read: {document.reason}"
            self._events.note(text, Counted.FAILED, failed=True)


def best_trial(store: Store, job: Job) -> BestTrial | None:
    """The winner of a job so far."""
    for row in store.jobs.best_trials(job.id, job.search.resolved_direction(), limit=1).items:
        if row.trial is not None and row.trial.value is not None:
            return BestTrial(
                training_id=row.id,
                number=row.trial.number,
                value=row.trial.value,
                parameters=row.trial.parameters,
                model=row.artifacts.get("model"),
            )
    return None
