"""One pass as a pure function: what was seen goes in, what is to be done comes out. No clock, no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mitorch_service.backends.base import Capacity, RunStatus
from mitorch_service.controller.doors import Doors
from mitorch_service.controller.expansion import TRIALS_A_PASS, expand, failed_count, is_over
from mitorch_service.controller.parts import Parts, TakeOn
from mitorch_service.controller.placement import Cluster, Placer
from mitorch_service.controller.refit import RefitState, refit_note, refit_training
from mitorch_service.errors import MissingExtra
from mitorch_service.models.base import to_utc_milliseconds
from mitorch_service.models.front import FrontTrial
from mitorch_service.models.job import BestTrial, Job, SettledCost
from mitorch_service.models.run import EXIT_INFRASTRUCTURE, RunState
from mitorch_service.models.status import AttemptOutcome, JobStatus, TrainingStatus
from mitorch_service.models.training import (
    MAX_LOST_ATTEMPTS,
    Attempt,
    Resources,
    Training,
    TrainingRow,
    run_name,
)
from mitorch_service.search.base import TrialRecord
from mitorch_service.stores.rungs import RungRecord


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
    parts: Parts | None = None  # of its paused trials, where some may go on

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


@dataclass(frozen=True)
class AddTrials:
    """Create these trials of a job, those that exist excepted."""

    job_id: str
    trainings: tuple[Training, ...]


@dataclass(frozen=True)
class AddRefit:
    """Create the final training of a job, unless it exists."""

    job_id: str
    training: Training


@dataclass(frozen=True)
class ForgetPaused:
    """Take the mark from a trial that does not wait any more."""

    record: RungRecord


@dataclass(frozen=True)
class UpdateJob:
    """Show how far a job is."""

    job_id: str
    counts: Mapping[str, int]
    best: BestTrial | None


@dataclass(frozen=True)
class SettleCost:
    """Remember what of a job's cost is final, unless another pass has done so, and what a person should know of it."""

    job_id: str
    before: SettledCost | None
    settled: SettledCost | None
    note: str | None
    news: str | None = None  # the note, where it is new


@dataclass(frozen=True)
class NoteJob:
    """Show what a person should know of a job."""

    job_id: str
    note: str


@dataclass(frozen=True)
class MergeFront:
    """Store the Pareto front of a job in place of an earlier version, then note which trials it has been told of."""

    job_id: str
    version: int | None
    front: Sequence[FrontTrial]
    told: Sequence[str]  # training ids


@dataclass(frozen=True)
class FinishJob:
    """End a job."""

    job_id: str
    status: JobStatus
    error: str | None
    counts: Mapping[str, int]
    best: BestTrial | None
    front: Sequence[FrontTrial] = ()
    front_version: int | None = None
    pauses: bool = False  # its trials have left states to go on from, which nobody needs any more


@dataclass(frozen=True)
class Launch:
    """Claim a new training for a cluster and submit its run."""

    training_id: str
    attempt: Attempt
    resources: Resources | None = None


@dataclass(frozen=True)
class Submit:
    """Submit the run of a training that was claimed earlier but is unknown to its cluster."""

    training_id: str
    attempt: Attempt
    resources: Resources | None = None


@dataclass(frozen=True)
class CancelTraining:
    """Cancel a training of a job that is being canceled, or has spent its budget before the training began."""

    training_id: str


@dataclass(frozen=True)
class CancelRun:
    """Ask a run to end, because a person wants its training canceled."""

    training_id: str
    attempt: Attempt


@dataclass(frozen=True)
class EndAttempt:
    """A run is over without having said so itself."""

    training_id: str
    attempt: Attempt
    outcome: AttemptOutcome
    status: TrainingStatus
    reason: str


Action = (
    AddTrials
    | AddRefit
    | TakeOn
    | ForgetPaused
    | UpdateJob
    | SettleCost
    | NoteJob
    | MergeFront
    | FinishJob
    | Launch
    | Submit
    | CancelTraining
    | CancelRun
    | EndAttempt
)


def plan(now: datetime, snapshot: Snapshot) -> list[Action]:
    """The actions of one pass, in the order in which they are to be applied."""
    actions: list[Action] = []
    trials: list[TrainingRow] = []
    canceled: set[str] = set()
    for state in snapshot.jobs:
        stale = () if state.parts is None else state.parts.stale
        actions += map(ForgetPaused, stale)
        for planned in [*_settle(now, state, snapshot.queue), *_merged_first(state, plan_job(now, state))]:
            actions.append(planned)
            if isinstance(planned, AddTrials):
                trials += planned.trainings
            elif isinstance(planned, AddRefit):
                trials.append(planned.training)
            elif isinstance(planned, TakeOn):
                trials.append(planned.row)
            elif isinstance(planned, CancelTraining):
                canceled.add(planned.training_id)
    for training in snapshot.active:
        action = watch(training, snapshot)
        if action is not None:
            actions.append(action)
    actions += assign(now, snapshot, [row for row in [*snapshot.queue, *trials] if row.id not in canceled])
    return actions


def plan_job(now: datetime, state: JobState) -> list[Action]:
    """Creates the next trials of a job, ends it when all have ended (and its final training, where it wants one), or
    winds it up when it is to be canceled. A job whose budget is spent gets no more trials, those that have not begun
    are canceled, and it ends with the others; one whose time is over gets no more trials. Of trials that run in parts
    those that are paused go on before new ones begin; when its time is over, only the best one does."""
    job = state.job
    open_count = sum(state.counts.get(status, 0) for status in ("new", "queued", "running"))
    end = _early_end(state)
    if end is not None and (open_count > 0 or (state.refit is not None and state.refit.is_open)):
        return [CancelTraining(trial.id) for trial in state.open_trials if trial.cancel_requested_at is None]
    if end is not None:
        return [_finish(state, *end)]
    over = state.refit is not None or state.spent or is_over(job, now)
    taken_on: list[TakeOn] = []
    try:
        taken_on = [] if over else _next_parts(state, open_count)
        trials = () if over else _next_trials(now, state, open_count + len(taken_on))
    except MissingExtra:  # told by who looked at the job: another controller may have it
        return [*taken_on, *_progress(state)]
    except (ValueError, LookupError, TypeError, ArithmeticError) as error:  # its document was changed by hand
        return [_finish(state, JobStatus.FAILED, f"its search space cannot be used: {error}")]
    if trials or taken_on:
        return [*taken_on, *([AddTrials(job.id, trials)] if trials else []), *_progress(state)]
    if open_count == 0 and state.parts is not None and not state.spent and (last := state.parts.last()):
        return [*last, *_progress(state)]
    if open_count == 0:
        if state.best is not None:
            return _conclude(now, state, state.best)
        if job.front:
            return [_finish(state, JobStatus.COMPLETED)]
        return [_finish(state, JobStatus.FAILED, f"no trial gave a finite {' and '.join(job.search.objectives())}")]
    unbegun = [trial for trial in state.open_trials if state.spent and trial.attempt == 0]
    return [*(CancelTraining(trial.id) for trial in unbegun), *_progress(state)]


def _conclude(now: datetime, state: JobState, best: BestTrial) -> list[Action]:
    """The search is over, and has a winner: the job ends after its final training, where it is to have one."""
    job = state.job
    if state.refit is not None and state.refit.is_open:
        return _progress(state)
    if state.refit is not None or job.search.refit is None or state.spent:
        return [_finish(state, JobStatus.COMPLETED)]
    try:
        return [AddRefit(job.id, refit_training(job, best, to_utc_milliseconds(now))), *_progress(state)]
    except (ValueError, LookupError, TypeError) as error:  # its document was changed by hand
        note = f"its final training (search.refit) cannot be made: {error}"
        return [NoteJob(job.id, note), _finish(state, JobStatus.COMPLETED)]


def _next_parts(state: JobState, open_count: int) -> list[TakeOn]:
    limit = state.job.search.max_concurrent
    most = TRIALS_A_PASS if limit is None else limit - open_count
    return [] if state.parts is None else state.parts.go_on(most)


def _next_trials(now: datetime, state: JobState, open_count: int) -> tuple[Training, ...]:
    at, failed = to_utc_milliseconds(now), failed_count(state.counts)
    return expand(state.job, state.last_number, open_count, at, state.records, failed)


def watch(training: TrainingRow, snapshot: Snapshot) -> Action | None:
    """What to do about a queued or running training, given how its run looks from outside."""
    attempt = training.current_attempt()
    if attempt is None:
        return None
    if attempt.cluster not in snapshot.configured:
        reason = f"its cluster {attempt.cluster} is no longer in MITORCH_CLUSTERS"
        return _lost(training, attempt, reason)
    if attempt.run_name not in snapshot.runs:
        return None  # the cluster did not answer: next pass
    run = snapshot.runs[attempt.run_name]
    if run is None:
        if training.cancel_requested_at is not None:
            return EndAttempt(
                training.id,
                attempt,
                AttemptOutcome.CANCELED,
                TrainingStatus.CANCELED,
                "canceled before it started",
            )
        if attempt.submitted_at is None:
            return Submit(training.id, attempt, training.resources)
        return _lost(training, attempt, "its cluster does not know the run any more")
    if run.state in (RunState.PENDING, RunState.RUNNING, RunState.UNKNOWN):
        return None if training.cancel_requested_at is None else CancelRun(training.id, attempt)
    return _verdict(training, attempt, run)


def assign(now: datetime, snapshot: Snapshot, waiting: Sequence[TrainingRow]) -> list[Action]:
    """New trainings by priority, then age, to the clusters' free nodes: see `placement`."""
    placer = open_placer(now, snapshot)
    at = to_utc_milliseconds(now)
    actions: list[Action] = []
    for row in in_order(waiting):
        if placer.full:
            break
        cluster = placer.place(row)
        if cluster is not None:
            actions.append(Launch(row.id, _next_attempt(row, cluster, placer.price(cluster), at), row.resources))
    return actions


def in_order(waiting: Sequence[TrainingRow]) -> list[TrainingRow]:
    """Each once, in the order in which they are served."""
    return sorted({row.id: row for row in waiting}.values(), key=lambda r: (r.priority, r.arrival, r.id))


def open_placer(now: datetime, snapshot: Snapshot) -> Placer:
    """What there is to be given away at the beginning of an assignment."""
    doors = Doors(now, snapshot.queue, snapshot.active)
    return Placer(snapshot.facts, snapshot.clusters, free_nodes(snapshot), snapshot.hosts, doors)


def _next_attempt(row: TrainingRow, cluster: str, price: float, at: datetime) -> Attempt:
    number = row.attempt + 1
    nodes = 1 if row.resources is None else row.resources.nodes
    name = run_name(row.id, number)
    return Attempt(number=number, cluster=cluster, run_name=name, queued_at=at, nodes=nodes, price=price)


def free_nodes(snapshot: Snapshot) -> dict[str, int]:
    """Nodes that neither a run holds nor a training was claimed for that its cluster does not know yet. Never more than
    the cluster has beside all that was assigned to it: another pass may have launched since its capacity was asked."""
    free = {name: capacity.free for name, capacity in snapshot.clusters.items()}
    unassigned = {name: capacity.total for name, capacity in snapshot.clusters.items()}
    for training in snapshot.active:
        attempt = training.current_attempt()
        if attempt is None or attempt.cluster not in free:
            continue
        unassigned[attempt.cluster] -= attempt.nodes
        if snapshot.runs.get(attempt.run_name) is None:
            free[attempt.cluster] -= attempt.nodes
    return {name: min(nodes, unassigned[name]) for name, nodes in free.items()}


def _merged_first(state: JobState, actions: Sequence[Action]) -> list[Action]:
    """A job ends with a front that was told of all its trials."""
    if state.merge is None:
        return [*actions]
    ends = any(isinstance(action, FinishJob) for action in actions)
    return [state.merge, *(_progress(state) if ends else actions)]


def _progress(state: JobState) -> list[Action]:
    changed = dict(state.counts) != state.job.counts or state.best != state.job.best
    return [UpdateJob(state.job.id, state.counts, state.best)] if changed else []


def _settle(now: datetime, state: JobState, queue: Sequence[TrainingRow]) -> list[Action]:
    """What to remember of the job's cost, and to tell. A trial that is to run again is no longer settled."""
    job, settled = state.job, state.settled
    note = _note(now, state)
    if job.search.max_cost is None:
        return [NoteJob(job.id, note)] if note is not None and note != job.note else []
    if settled is not None and any(r.job_id == job.id and r.trial and r.trial.number < settled.below for r in queue):
        settled = None
    if (settled, note) == (job.settled, job.note):
        return []
    return [SettleCost(job.id, job.settled, settled, note, note if note != job.note else None)]


def _note(now: datetime, state: JobState) -> str | None:
    notes = [_limit_note(now, state), refit_note(state.best, state.refit)]
    return "; ".join(note for note in notes if note) or None


def _limit_note(now: datetime, state: JobState) -> str | None:
    search = state.job.search
    if state.spent:
        skipped = " and no final training" if search.refit is not None and state.refit is None else ""
        return f"its budget of {search.max_cost:.2f} is spent: no new trials{skipped}"
    if is_over(state.job, now):
        return f"its time (search.max_time) of {search.max_time:g} s is over: no new trials"
    return None


def _early_end(state: JobState) -> tuple[JobStatus, str | None] | None:
    """How a job ends that is to end before all its trials were made; None for one that goes on."""
    if state.job.cancel_requested_at is not None:
        return JobStatus.CANCELED, None
    failed = failed_count(state.counts)
    limit = state.job.search.max_failed
    if limit is not None and failed > limit:
        return JobStatus.FAILED, f"{failed} trials failed, more than search.max_failed allows ({limit})"
    return None


def _finish(state: JobState, status: JobStatus, error: str | None = None) -> FinishJob:
    job = state.job
    ended = state.counts, state.best, job.front or (), job.front_version
    return FinishJob(job.id, status, error, *ended, pauses=job.search.pauses)


def _verdict(training: TrainingRow, attempt: Attempt, run: RunStatus) -> Action:
    """The run is over and its training still active: the run could not write its own end."""
    reason = run.reason or "it ended without writing a result"
    if training.cancel_requested_at is not None:
        return EndAttempt(training.id, attempt, AttemptOutcome.CANCELED, TrainingStatus.CANCELED, reason)
    if run.state == RunState.KILLED or run.exit_code == EXIT_INFRASTRUCTURE:
        return _lost(training, attempt, reason)
    if run.state == RunState.SUCCEEDED:
        reason = "it ended with exit code 0, but without writing a result"
    retries = training.attempts_ended_as(AttemptOutcome.FAILED)
    status = TrainingStatus.NEW if retries < training.max_retries else TrainingStatus.FAILED
    return EndAttempt(training.id, attempt, AttemptOutcome.FAILED, status, reason)


def _lost(training: TrainingRow, attempt: Attempt, reason: str) -> EndAttempt:
    lost = training.attempts_ended_as(AttemptOutcome.LOST) + 1
    if training.cancel_requested_at is not None:
        return EndAttempt(training.id, attempt, AttemptOutcome.CANCELED, TrainingStatus.CANCELED, reason)
    if lost >= MAX_LOST_ATTEMPTS:
        reason = f"lost {lost} times, which is the limit; the last time: {reason}"
        return EndAttempt(training.id, attempt, AttemptOutcome.LOST, TrainingStatus.FAILED, reason)
    return EndAttempt(training.id, attempt, AttemptOutcome.LOST, TrainingStatus.NEW, reason)
