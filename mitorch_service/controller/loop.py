"""The controller: observe, plan, apply. Any number of passes may overlap, be missed, or die half-way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TypeVar, assert_never

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.backends.base import Backend, RunStatus
from mitorch_service.controller.actions import (
    Action,
    AddRefit,
    AddTrials,
    CancelRun,
    CancelTraining,
    EndAttempt,
    FinishJob,
    ForgetPaused,
    Launch,
    MergeFront,
    NoteJob,
    SettleCost,
    Submit,
    UpdateJob,
)
from mitorch_service.controller.asking import ask_all
from mitorch_service.controller.budget import job_cost
from mitorch_service.controller.expansion import failed_count, is_over, room
from mitorch_service.controller.front import read_merge, store_merge
from mitorch_service.controller.history import read_history
from mitorch_service.controller.leftovers import delete_page
from mitorch_service.controller.part_observation import observe_parts
from mitorch_service.controller.parts import TakeOn, best_of_rungs
from mitorch_service.controller.placement import Cluster, hosts_of
from mitorch_service.controller.plan import plan
from mitorch_service.controller.plan_jobs import plan_job
from mitorch_service.controller.refit import read_refit, with_refit
from mitorch_service.controller.refusal import refused
from mitorch_service.controller.report import Counted, Event, PassReport
from mitorch_service.controller.snapshot import JobState, Snapshot
from mitorch_service.errors import (
    BackendError,
    BackendUnavailable,
    BrokenDocument,
    MiTorchError,
    NotAllowed,
    NotFound,
    RunRefused,
    StoreUnavailable,
)
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.job import BestTrial, Job
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.models.status import ACTIVE, ACTIVE_JOBS, AttemptOutcome, TrainingStatus
from mitorch_service.models.training import Attempt, TrainingErrorInfo, TrainingRow
from mitorch_service.search.algorithms import check_installed
from mitorch_service.settings import ClusterConfig
from mitorch_service.stores.base import Store
from mitorch_service.stores.primitives import Listing

Answer = TypeVar("Answer")

_LOG_TAIL_LINES = 20
_CLUSTER_SECONDS = 30.0  # for one cluster's capacity, or the status of all its runs, where there are several
_SUBMISSION_SECONDS = 90.0  # for a step's submissions to one cluster; what it accepts later is found by its name
_OPEN_TRIALS_A_PASS = 1000
_HEAD_A_PASS = 100  # trainings of the queue that a pass looks at, at least, where some of them want certain clusters
_HEAD_BY_ROOM = 4  # or so many times the free nodes, if that is more
_SUBMISSIONS_A_STEP = 100  # claimed, submitted and recorded together
_DELETIONS_A_PASS = 1000  # pages of paused trials, for as long as there is time


_OUTCOMES = {
    AttemptOutcome.LOST: Counted.LOST,
    AttemptOutcome.REFUSED: Counted.REFUSED,
    AttemptOutcome.FAILED: Counted.FAILED,
    AttemptOutcome.CANCELED: Counted.CANCELED,
}


class Controller:
    """Stateless between passes: all that it knows is in the store and on the clusters."""

    def __init__(
        self,
        store: Store,
        backends: Mapping[str, Backend],
        clusters: Sequence[ClusterConfig] = (),
        artifacts: ArtifactStore | None = None,
    ) -> None:
        """`backends` by cluster name, in order of preference; `clusters` what the settings say of them. `artifacts`:
        where the states of paused trials are, which are deleted with the end of their job."""
        self._store = store
        self._backends = backends
        self._facts = {cluster.name: Cluster.of(cluster) for cluster in clusters}
        self._artifacts = artifacts
        self._events: list[Event] = []
        self._refusing: set[str] = set()  # clusters, in this pass

    def tick(self, now: datetime, in_time: Callable[[], bool] = lambda: True) -> PassReport:
        """One pass. `in_time` is asked before each step, never within one: once it says no, the rest is left to the
        next pass. Raises StoreUnavailable when the database does not answer; nothing else stops it."""
        self._events, self._refusing = [], set()
        self._store.prepare()
        snapshot = self.observe(now)
        for step in self._steps(plan(now, snapshot), now):
            if not in_time():
                return PassReport(snapshot, self._events, complete=False)
            with self._going_on():
                step()
        return PassReport(snapshot, self._events)

    def _steps(self, actions: Sequence[Action], now: datetime) -> Iterator[Callable[[], None]]:
        """What is done whole or not at all by a pass. Submissions come last, some at a time."""
        claimed = [action for action in actions if isinstance(action, Submit)]
        launches = [action for action in actions if isinstance(action, Launch)]
        for action in actions:
            if isinstance(action, FinishJob) and action.pauses:
                yield from self._end_of_parts(action.job_id, now)
            elif not isinstance(action, Submit | Launch):
                yield partial(self._apply, action, now)
        for start in range(0, len(claimed), _SUBMISSIONS_A_STEP):
            yield partial(self._submit, claimed[start : start + _SUBMISSIONS_A_STEP], now)
        for start in range(0, len(launches), _SUBMISSIONS_A_STEP):
            yield partial(self._launch, launches[start : start + _SUBMISSIONS_A_STEP], now)

    def observe(self, now: datetime) -> Snapshot:
        """Reads what is active and the head of the queue, never the history.

        Jobs are read before the queue and the queue before what is active, the way that trainings go: one that another
        pass moves on meanwhile may be seen twice, which the guards sort out, but is never overlooked.
        """
        jobs = self._observe_jobs(now)
        capacities = {name: backend.capacity for name, backend in self._backends.items()}
        clusters = self._ask(capacities, _CLUSTER_SECONDS)
        room = sum(capacity.free for capacity in clusters.values())
        queue = self._observe_queue(room, now)
        active = self._whole(self._store.active_trainings(), now)
        runs: dict[str, RunStatus | None] = {}
        attempts = [attempt for training in active if (attempt := training.current_attempt()) is not None]
        names = {cluster: [a.run_name for a in attempts if a.cluster == cluster] for cluster in clusters}
        describe = {cluster: partial(self._backends[cluster].describe, names[cluster]) for cluster in clusters}
        for found in self._ask(describe, _CLUSTER_SECONDS).values():
            runs |= found
        hosts = self._observe_data([*(row.dataset for row in queue), *(state.job.dataset for state in jobs)])
        return Snapshot(queue, active, runs, clusters, frozenset(self._backends), jobs, self._facts, hosts)

    def _observe_queue(self, room: int, now: datetime) -> list[TrainingRow]:
        """The head of the queue: one more than there are free nodes, which those fill that may go anywhere. Where some
        may not, others behind them might: then as many more are read as keeps the cost of a pass bounded."""
        queue = self._whole(self._store.queue_head(room + 1), now)
        if not 0 < room < len(queue) or all(row.resources is None for row in queue):
            return queue
        return self._whole(self._store.queue_head(max(_HEAD_A_PASS, _HEAD_BY_ROOM * room)), now)

    def _observe_data(self, refs: list[DatasetRef]) -> dict[str, frozenset[str]]:
        """Where the data lies, asked only if some cluster has data near it."""
        hosts: dict[str, frozenset[str]] = {}
        if not any(cluster.data for cluster in self._facts.values()):
            return hosts
        for ref in {str(ref): ref for ref in refs}.values():
            try:
                hosts[str(ref)] = hosts_of(self._store.get_dataset(ref))
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
        jobs = self._store.active_jobs()
        for broken in jobs.broken:
            self._store.quarantine_job(broken.key, now, broken.reason)
            text = f"job {broken.key} failed: its document cannot be read: {broken.reason}"
            self._note(text, Counted.JOBS_ENDED, failed=True)
        states = []
        for job in jobs.items:
            with self._going_on():
                states.append(self._job_state(job, now))
        return states

    def _job_state(self, job: Job, now: datetime) -> JobState:
        # First the number, then the counts: trials that another pass adds in between are counted, never overlooked.
        last_number = self._store.last_trial_number(job.id)
        counts = self._store.count_trainings(job.id)
        open_count = sum(counts.get(status, 0) for status in ("new", "queued", "running"))
        failed, limit = failed_count(counts), job.search.max_failed
        winding_up = job.cancel_requested_at is not None or (limit is not None and failed > limit)
        refit = read_refit(self._store, job)
        best = with_refit(best_trial(self._store, job), refit, job.search.objectives()[0])
        state = JobState(job, counts, last_number, best, refit=refit, merge=read_merge(self._store, job))
        if job.search.max_cost is not None:
            cost, settled = job_cost(self._store, job, open_count, now)
            state = replace(state, cost=cost, settled=settled)
        if job.search.pauses and state.best is None:
            state = replace(
                state, best=best_of_rungs(self._store, job) or job.best
            )  # a pass that ended it may have died
        if winding_up or state.spent:
            more = [refit.training] if refit is not None and refit.training is not None and refit.is_open else []
            trials = self._store.open_trials(job.id, _OPEN_TRIALS_A_PASS).items
            return replace(state, open_trials=[*trials, *more])
        if refit is not None:
            return state
        state = replace(state, parts=observe_parts(self._store, job, counts, last_number, open_count))
        if is_over(job, now) or room(job, last_number, open_count, failed) == 0:
            return state
        with self._going_on():  # without the packages the plan leaves the job as it is
            check_installed(job.search.algorithm)
        return replace(state, records=read_history(self._store, job, last_number))

    def _quarantine_trainings(self, broken: list[BrokenDocument], now: datetime) -> None:
        for document in broken:
            self._store.quarantine_training(document.key, now, document.reason)
            text = f"training {document.key} failed: its document cannot be read: {document.reason}"
            self._note(text, Counted.FAILED, failed=True)

    def _apply(self, action: Action, now: datetime) -> None:  # noqa: C901, PLR0912 - one case for each kind
        match action:
            case AddTrials():
                added = self._store.add_trainings(action.trainings)
                if added:
                    self._note(f"job {action.job_id[:8]}: {added} trials queued", Counted.TRIALS_ADDED, number=added)
            case AddRefit():
                if self._store.add_trainings([action.training]):
                    self._note(f"job {action.job_id[:8]}: its final training {action.training.id[:8]} queued")
            case TakeOn():
                self._take_on(action, now)
            case ForgetPaused():
                self._store.forget_paused(action.record)
            case UpdateJob():
                self._store.update_job(action.job_id, action.counts, action.best, now)
            case MergeFront():
                store_merge(self._store, action)
            case SettleCost():
                if self._store.settle_cost(action.job_id, action.before, action.settled, action.note) and action.news:
                    self._note(f"job {action.job_id[:8]}: {action.news}")
            case NoteJob():
                self._note_job(action)
            case FinishJob():
                self._finish(action, now)
            case Launch() | Submit():
                pass  # some at a time, behind everything else
            case CancelTraining():
                self._cancel_trial(action.training_id, now)
            case CancelRun():
                self._backends[action.attempt.cluster].cancel(action.attempt.run_name)
                self._note(f"training {action.training_id[:8]}: its run was asked to stop")
            case EndAttempt():
                self._end(action, now)
            case _:
                assert_never(action)

    def _note_job(self, action: NoteJob) -> None:
        if self._store.note_job(action.job_id, action.note):
            self._note(f"job {action.job_id[:8]}: {action.note}")

    def _take_on(self, action: TakeOn, now: datetime) -> None:
        if self._store.get_job(action.job_id).status not in ACTIVE_JOBS:
            return  # this pass has slept, and another one has ended the job
        if self._store.take_on(action.row, action.until, action.priority, now, action.course):
            how = "" if action.course is None else f" as training {action.course.inheritance.parent[:8]} was"
            where = "to its end" if action.until is None else f"to epoch {action.until}"
            text = f"job {action.job_id[:8]}: training {action.row.id[:8]} goes on{how}, {where}"
            self._note(text, Counted.TAKEN_ON)
        if action.record is not None:
            self._store.forget_paused(action.record)

    def _end_of_parts(self, job_id: str, now: datetime) -> Iterator[Callable[[], None]]:
        """Ends a job whose trials run in parts, and deletes first, step by step, what they have kept to go on from.

        One that another pass took on after this one had counted what is open, and before it looked at what is paused,
        was in neither: so both are looked at once more."""
        over: list[Action] = []
        more = True

        def look_again() -> None:
            found = plan_job(now, self._job_state(self._store.get_job(job_id), now))
            over.extend(action for action in found if isinstance(action, FinishJob))

        def delete() -> None:
            nonlocal more
            more = False  # what fails is told, and left to the next pass
            more = delete_page(self._store, self._artifacts, job_id, lambda error: self._note(str(error), failed=True))

        yield look_again
        for _ in range(_DELETIONS_A_PASS if over else 0):
            if more:
                yield delete
        yield from (partial(self._apply, action, now) for action in over)

    def _finish(self, action: FinishJob, now: datetime) -> None:
        if action.pauses and self._store.some_rung_records(action.job_id, 1):
            return  # the next pass goes on deleting
        self._store.remove_rungs(action.job_id)  # all its trials have ended
        ended = action.counts, action.best, action.front, action.front_version
        if self._store.finish_job(action.job_id, action.status, now, action.error, *ended):
            why = f": {action.error}" if action.error else ""
            self._note(f"job {action.job_id[:8]} {action.status}{why}", Counted.JOBS_ENDED)

    def _launch(self, launches: list[Launch], now: datetime) -> None:
        launches = [launch for launch in launches if launch.attempt.cluster not in self._refusing]
        claims = [(launch.training_id, launch.attempt) for launch in launches]
        ours = self._store.claim_trainings(claims)
        self._submit([launch for launch, won in zip(launches, ours, strict=True) if won], now)

    def _submit(self, claimed: Sequence[Launch | Submit], now: datetime) -> None:
        """No run is asked for before its claim is in the store, and one that this pass does not live to record as
        submitted is found by its name in the next."""
        parts: dict[str, list[Launch | Submit]] = {}
        for one in claimed:
            parts.setdefault(one.attempt.cluster, []).append(one)
        asked = {cluster: partial(self._submit_to, cluster, part) for cluster, part in parts.items()}
        answered = self._ask(asked, _SUBMISSION_SECONDS)
        accepted = []
        for cluster, answers in answered.items():
            for one, answer in zip(parts[cluster], answers, strict=True):
                if isinstance(answer, BackendError):
                    continue
                accepted.append((one.training_id, one.attempt.number, answer))
                text = f"training {one.training_id[:8]} launched on {cluster} (attempt {one.attempt.number})"
                self._note(text, Counted.LAUNCHED)
        self._store.record_submissions(accepted, now)
        for cluster, answers in answered.items():
            self._note_errors(answers)
            self._give_back(cluster, parts[cluster], answers, now)

    def _submit_to(self, cluster: str, claimed: Sequence[Launch | Submit]) -> list[str | BackendError | None]:
        """For each where to look at the run, or why the cluster has not accepted it."""
        backend = self._backends[cluster]
        try:
            requests = [backend.prepare(o.training_id, o.attempt.number, o.resources) for o in claimed]
        except BackendUnavailable:
            raise
        except BackendError as error:  # nothing was asked for
            return [RunRefused(cluster, error.problem, error.remedy) for _ in claimed]
        return backend.submit_all(requests)

    def _note_errors(self, answers: Sequence[str | BackendError | None]) -> None:
        """Each text once: what is wrong with a cluster is wrong for all."""
        for text in dict.fromkeys(str(answer) for answer in answers if isinstance(answer, BackendError)):
            self._note(text, failed=True)

    def _give_back(
        self,
        cluster: str,
        claimed: Sequence[Launch | Submit],
        answers: Sequence[str | BackendError | None],
        now: datetime,
    ) -> None:
        """Ends the attempts that the cluster has refused. In doubt nothing is ended: the next pass asks again."""
        pairs = list(zip(claimed, answers, strict=True))
        # One that was claimed earlier may have been accepted then, under other settings.
        takes_others = any(isinstance(one, Launch) and not isinstance(answer, BackendError) for one, answer in pairs)
        for one, answer in pairs:
            if isinstance(answer, RunRefused):
                with self._going_on():
                    training = self._store.get_training(one.training_id)
                    self._end(refused(training, one.attempt, answer, takes_others), now, began=False)
        if not takes_others and any(isinstance(answer, RunRefused) for answer in answers):
            self._refusing.add(cluster)

    def _cancel_trial(self, training_id: str, now: datetime) -> None:
        try:
            row = self._store.request_cancel(training_id, now)
        except NotAllowed:
            return  # it ended meanwhile, which is as good
        if row.status == TrainingStatus.CANCELED:
            self._note(f"training {training_id[:8]} canceled", Counted.CANCELED)
        else:
            self._note(f"training {training_id[:8]} is asked to stop")

    def _end(self, action: EndAttempt, now: datetime, began: bool = True) -> None:
        """`began`: whether there may have been a run, with a log. Where there is not, one that reports its start after
        all is left alone."""
        attempt = action.attempt
        tail, before = (self._log_tail(attempt), ACTIVE) if began else ([], (TrainingStatus.QUEUED,))
        reason = mask_secrets(action.reason)
        error = TrainingErrorInfo(type=action.outcome.value.capitalize(), message=reason, log_tail=tail)
        verdict = (now, action.outcome, action.status, error, before)
        if self._store.end_attempt(action.training_id, attempt.number, *verdict):
            then = "will be tried again" if action.status == "new" else f"is {action.status}"
            short = action.training_id[:8]
            text = f"training {short}: attempt {attempt.number} {action.outcome}: {action.reason}; it {then}"
            how = _OUTCOMES.get(action.outcome)
            self._note(text, Counted.ENDED, *([] if how is None else [how]))

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

    def _ask(self, calls: Mapping[str, Callable[[], Answer]], seconds: float) -> dict[str, Answer]:
        """The answers of the clusters that gave one; a cluster that is down delays nothing on the others."""
        answers: dict[str, Answer] = {}
        for cluster, answer in ask_all(calls, seconds).items():
            if isinstance(answer, BackendError):
                self._note(str(answer), failed=True)
            else:
                answers[cluster] = answer
        return answers

    def _note(self, text: str, *counted: Counted, number: int = 1, failed: bool = False) -> None:
        self._events.append(Event(mask_secrets(text), failed, counted, number))


def best_trial(store: Store, job: Job) -> BestTrial | None:
    """The winner of a job so far."""
    for row in store.best_trials(job.id, job.search.resolved_direction(), limit=1).items:
        if row.trial is not None and row.trial.value is not None:
            return BestTrial(
                training_id=row.id,
                number=row.trial.number,
                value=row.trial.value,
                parameters=row.trial.parameters,
                model=row.artifacts.get("model"),
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
