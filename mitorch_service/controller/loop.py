"""The controller: observe, plan, apply. Any number of passes may overlap, be missed, or die half-way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never

from mitorch_service.backends.base import Backend, Capacity, RunStatus
from mitorch_service.controller.plan import (
    Action,
    AddTrials,
    CancelRun,
    CancelTraining,
    EndAttempt,
    FinishJob,
    JobState,
    Launch,
    Snapshot,
    Submit,
    UpdateJob,
    plan,
)
from mitorch_service.errors import BackendError, BrokenDocument, MiTorchError, NotAllowed, StoreUnavailable
from mitorch_service.models.job import BestTrial, Job
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.models.status import TrainingStatus
from mitorch_service.models.training import Attempt, TrainingErrorInfo, TrainingRow
from mitorch_service.stores.base import Store
from mitorch_service.stores.primitives import Listing

_LOG_TAIL_LINES = 20
_OPEN_TRIALS_A_PASS = 1000


@dataclass(frozen=True)
class Event:
    """Something that a pass did, or could not do, in words."""

    text: str
    failed: bool = False


@dataclass(frozen=True)
class PassReport:
    """What one pass saw and did."""

    snapshot: Snapshot
    events: list[Event] = field(default_factory=list)

    @property
    def idle(self) -> bool:
        """Whether there was nothing to run, to watch or to expand."""
        seen = self.snapshot
        return not (seen.queue or seen.active or seen.jobs)


class Controller:
    """Stateless between passes: all that it knows is in the store and on the clusters."""

    def __init__(self, store: Store, backends: Mapping[str, Backend]) -> None:
        """`backends` by cluster name, in order of preference."""
        self._store = store
        self._backends = backends
        self._events: list[Event] = []

    def tick(self, now: datetime) -> PassReport:
        """One pass. Raises StoreUnavailable when the database does not answer; nothing else stops it."""
        self._events = []
        self._store.prepare()
        snapshot = self.observe(now)
        actions = plan(now, snapshot)
        for action in actions:
            with self._going_on():
                self._apply(action, now)
        with self._going_on():
            self._launch([action for action in actions if isinstance(action, Launch)], now)
        return PassReport(snapshot, self._events)

    def observe(self, now: datetime) -> Snapshot:
        """Reads what is active and the head of the queue, never the history.

        Jobs are read before the queue and the queue before what is active, the way that trainings go: one that another
        pass moves on meanwhile may be seen twice, which the guards sort out, but is never overlooked.
        """
        jobs = self._observe_jobs(now)
        clusters: dict[str, Capacity] = {}
        for cluster, backend in self._backends.items():
            with self._reporting():  # one cluster that is down delays nothing on the others
                clusters[cluster] = backend.capacity()
        room = sum(capacity.free for capacity in clusters.values())
        queue = self._whole(self._store.queue_head(room + 1), now)
        active = self._whole(self._store.active_trainings(), now)
        runs: dict[str, RunStatus | None] = {}
        for cluster in clusters:
            attempts = [training.current_attempt() for training in active]
            names = [a.run_name for a in attempts if a is not None and a.cluster == cluster]
            with self._reporting():
                runs |= self._backends[cluster].describe(names)
        return Snapshot(queue, active, runs, clusters, frozenset(self._backends), jobs)

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
        jobs = self._store.active_jobs()
        for broken in jobs.broken:
            self._store.quarantine_job(broken.key, now, broken.reason)
            self._note(f"job {broken.key} failed: its document cannot be read: {broken.reason}", failed=True)
        states = []
        for job in jobs.items:
            with self._going_on():
                states.append(self._job_state(job))
        return states

    def _job_state(self, job: Job) -> JobState:
        # First the number, then the counts: trials that another pass adds in between are counted, never overlooked.
        last_number = self._store.last_trial_number(job.id)
        counts = self._store.count_trainings(job.id)
        failed = counts.get("failed", 0) + counts.get("diverged", 0)
        limit = job.search.max_failed
        winding_up = job.cancel_requested_at is not None or (limit is not None and failed > limit)
        open_trials = self._store.open_trials(job.id, _OPEN_TRIALS_A_PASS).items if winding_up else []
        return JobState(job, counts, last_number, best_trial(self._store, job), open_trials)

    def _quarantine_trainings(self, broken: list[BrokenDocument], now: datetime) -> None:
        for document in broken:
            self._store.quarantine_training(document.key, now, document.reason)
            text = f"training {document.key} failed: its document cannot be read: {document.reason}"
            self._note(text, failed=True)

    def _apply(self, action: Action, now: datetime) -> None:  # noqa: C901 - one case for each kind of action
        match action:
            case AddTrials():
                added = self._store.add_trainings(action.trainings)
                if added:
                    self._note(f"job {action.job_id[:8]}: {added} trials queued")
            case UpdateJob():
                self._store.update_job(action.job_id, action.counts, action.best, now)
            case FinishJob():
                if self._store.finish_job(action.job_id, action.status, now, action.error, action.counts, action.best):
                    why = f": {action.error}" if action.error else ""
                    self._note(f"job {action.job_id[:8]} {action.status}{why}")
            case Launch():
                pass  # together with the others, behind everything else
            case Submit():
                self._submit([(action.training_id, action.attempt)], now)
            case CancelTraining():
                self._cancel_trial(action.training_id, now)
            case CancelRun():
                self._backends[action.attempt.cluster].cancel(action.attempt.run_name)
                self._note(f"training {action.training_id[:8]}: its run was asked to stop")
            case EndAttempt():
                self._end(action, now)
            case _:
                assert_never(action)

    def _launch(self, launches: list[Launch], now: datetime) -> None:
        claims = [(launch.training_id, launch.attempt) for launch in launches]
        ours = self._store.claim_trainings(claims)
        self._submit([claim for claim, won in zip(claims, ours, strict=True) if won], now)

    def _submit(self, claims: list[tuple[str, Attempt]], now: datetime) -> None:
        """No run is asked for before its claim is in the store, and one that this pass does not live to record as
        submitted is found by its name in the next."""
        accepted = []
        for training_id, attempt in claims:
            with self._going_on():
                backend = self._backends[attempt.cluster]
                url = backend.submit(backend.prepare(training_id, attempt.number))
                accepted.append((training_id, attempt.number, url))
                self._note(f"training {training_id[:8]} launched on {attempt.cluster} (attempt {attempt.number})")
        self._store.record_submissions(accepted, now)

    def _cancel_trial(self, training_id: str, now: datetime) -> None:
        try:
            row = self._store.request_cancel(training_id, now)
        except NotAllowed:
            return  # it ended meanwhile, which is as good
        self._note(f"training {training_id[:8]} {'canceled' if row.status == 'canceled' else 'is asked to stop'}")

    def _end(self, action: EndAttempt, now: datetime) -> None:
        attempt = action.attempt
        tail = self._log_tail(attempt)
        reason = mask_secrets(action.reason)
        error = TrainingErrorInfo(type=action.outcome.value.capitalize(), message=reason, log_tail=tail)
        ended = self._store.end_attempt(action.training_id, attempt.number, now, action.outcome, action.status, error)
        if ended:
            then = "will be tried again" if action.status == "new" else f"is {action.status}"
            short = action.training_id[:8]
            self._note(f"training {short}: attempt {attempt.number} {action.outcome}: {action.reason}; it {then}")

    def _log_tail(self, attempt: Attempt) -> list[str]:
        try:
            log = self._backends[attempt.cluster].logs(attempt.run_name)
        except (BackendError, KeyError):  # the verdict does not wait for the log of a cluster that is gone
            return []
        return [mask_secrets(line) for line in log.splitlines()[-_LOG_TAIL_LINES:]]

    @contextmanager
    def _going_on(self) -> Iterator[None]:
        """What goes wrong here is told, and stops nothing else; but without its database a pass is over."""
        try:
            yield
        except StoreUnavailable:
            raise
        except MiTorchError as error:
            self._note(str(error), failed=True)

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        try:
            yield
        except BackendError as error:
            self._note(str(error), failed=True)

    def _note(self, text: str, failed: bool = False) -> None:
        self._events.append(Event(mask_secrets(text), failed))


def best_trial(store: Store, job: Job) -> BestTrial | None:
    """The winner of a job so far."""
    for row in store.best_trials(job.id, job.search.resolved_direction(), limit=1).items:
        if row.trial is not None and row.trial.value is not None:
            return BestTrial(
                training_id=row.id,
                number=row.trial.number,
                value=row.trial.value,
                parameters=row.trial.parameters,
            )
    return None


def run(
    tick: Callable[[], PassReport],
    wait: Callable[[], None],
    show: Callable[[PassReport], None],
    until_idle: bool,
) -> None:
    """Passes for ever, or until one finds nothing to do."""
    while True:
        report = tick()
        show(report)
        if until_idle and report.idle:
            return
        wait()
