"""Applies the actions of a pass, step by step; each step is done wholly or not at all."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial, singledispatchmethod
from typing import TypeVar

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.backends.base import Backend
from mitorch_service.controller.apply.attempt_end import AttemptEnds
from mitorch_service.controller.apply.checkpoint_cleanup import delete_page
from mitorch_service.controller.apply.launch import Launcher
from mitorch_service.controller.apply.recount import late_trials_of, recount
from mitorch_service.controller.apply.search_plots import KeepPlots, keep_plots
from mitorch_service.controller.event_log import EventLog
from mitorch_service.controller.notify.wanted import NOTHING, Wanted
from mitorch_service.controller.observe.job_state import observe_job
from mitorch_service.controller.observe.pareto_front import store_merge
from mitorch_service.controller.pass_report import PassCount
from mitorch_service.controller.plan.actions import (
    Action,
    AddRefit,
    AddTrials,
    CancelLate,
    CancelLeak,
    CancelRun,
    CancelTraining,
    EndAttempt,
    EndSilentRun,
    FinishJob,
    ForgetPaused,
    Launch,
    MergeFront,
    NoteFound,
    NoteJob,
    NoteMissing,
    NoteSilence,
    Recount,
    SettleCost,
    Submit,
    UpdateJob,
)
from mitorch_service.controller.plan.search.paused_trials import ResumeTrial
from mitorch_service.controller.plan.search.plan_job import plan_job
from mitorch_service.errors import NotAllowed
from mitorch_service.models.status import ACTIVE_JOBS, JobStatus, TrainingStatus
from mitorch_service.stores.base import Store
from mitorch_service.wording.counted import counted

Confirmed = TypeVar("Confirmed", AddRefit, FinishJob)

_CANCEL_SECONDS = 30.0  # for one cluster's runs that are to stop; the next pass asks again
_SUBMISSIONS_A_STEP = 100  # claimed, submitted and recorded together
_DELETIONS_A_PASS = 1000  # pages of checkpoints of one job, for as long as there is time


@dataclass(frozen=True)
class SubmitBatch:
    """Submits the runs of trainings that were claimed earlier."""

    submits: Sequence[Submit]


@dataclass(frozen=True)
class FoundBatch:
    """Notes the runs that clusters know, without their submission having been recorded."""

    found: Sequence[NoteFound]


@dataclass(frozen=True)
class CancelBatch:
    """Asks runs to stop, those of all clusters at the same time."""

    cancels: Sequence[CancelRun]


@dataclass(frozen=True)
class LaunchBatch:
    """Claims trainings and submits their runs."""

    launches: Sequence[Launch]


@dataclass(frozen=True)
class DeleteCheckpoints:
    """Deletes a page of the checkpoints that a job's paused trials have left, before the job ends."""

    job_end: FinishJob
    pages_left: int = _DELETIONS_A_PASS


@dataclass(frozen=True)
class EndJob:
    """Ends a job whose paused trials have left no checkpoints."""

    job_end: FinishJob


Step = Action | FoundBatch | CancelBatch | SubmitBatch | LaunchBatch | DeleteCheckpoints | EndJob | KeepPlots


class ActionApplier:
    """Applies the actions of one pass."""

    def __init__(
        self,
        store: Store,
        backends: Mapping[str, Backend],
        artifacts: ArtifactStore | None,
        events: EventLog,
        wanted: Wanted = NOTHING,
    ) -> None:
        """`wanted`: the ends that webhooks want to be told."""
        self._store = store
        self._backends = backends
        self._artifacts = artifacts
        self._events = events
        self._launcher = Launcher(store, backends, events, wanted)
        self._attempt_ends = AttemptEnds(store, backends, events)
        self._pending: deque[Step] = deque()

    def apply_all(self, actions: Sequence[Action], now: datetime, in_time: Callable[[], bool]) -> bool:
        """Applies the actions in order, but submissions last, in batches. Returns False if `in_time` did so before
        the last step. Raises StoreUnavailable; other errors are recorded, and the next step follows."""
        self._pending.extend(_steps(actions))
        while self._pending:
            if not in_time():
                return False
            step = self._pending.popleft()
            with self._events.collect_errors(_name(step)):
                self.apply(step, now)
        return True

    @singledispatchmethod
    def apply(self, step: Step, now: datetime) -> None:
        """Applies one step, by the handler below for its type; the handler may add the next step."""
        raise TypeError(f"{type(step).__name__} has no handler")

    @apply.register
    def _add_trials(self, action: AddTrials, now: datetime) -> None:
        if self._store.jobs.ended_among([action.job_id]):
            return  # this pass was suspended, and another one has ended the job
        added = self._store.queue.add_trainings(action.trainings)
        if added:
            text = f"job {action.job_id[:8]}: {counted(added, 'trial')} queued"
            self._events.note(text, PassCount.TRIALS_ADDED, amount=added)
        if action.starts_job:
            self._store.jobs.start_job(action.job_id, now)
        if added and self._store.jobs.ended_among([action.job_id]):
            self._cancel_late(action.job_id, now)

    @apply.register
    def _resume_trial(self, action: ResumeTrial, now: datetime) -> None:
        if self._store.jobs.get_job(action.job_id).status not in ACTIVE_JOBS:
            return  # this pass was suspended, and another one has ended the job
        if self._store.rungs.resume_trial(action.row, action.pause_at, action.priority, now, action.replacement):
            self._events.note(_resumption(action), PassCount.TRIALS_RESUMED)
        if action.record is not None:
            self._store.rungs.forget_paused(action.record)

    @apply.register
    def _forget_paused(self, action: ForgetPaused, now: datetime) -> None:
        self._store.rungs.forget_paused(action.record)

    @apply.register
    def _update_job(self, action: UpdateJob, now: datetime) -> None:
        self._store.jobs.update_job(action.job_id, action.counts, action.best, now)

    @apply.register
    def _merge_front(self, action: MergeFront, now: datetime) -> None:
        store_merge(self._store, action)

    @apply.register
    def _settle_cost(self, action: SettleCost, now: datetime) -> None:
        stored = self._store.costs.settle_cost(action.job_id, action.before, action.settled, action.note)
        if stored and action.new_note:
            self._events.note(f"job {action.job_id[:8]}: {action.new_note}")

    @apply.register
    def _note_job(self, action: NoteJob, now: datetime) -> None:
        if self._store.jobs.note_job(action.job_id, action.note):
            self._events.note(f"job {action.job_id[:8]}: {action.note}")

    @apply.register
    def _add_refit(self, action: AddRefit, now: datetime) -> None:
        refit = self._confirmed(action, now)
        if refit is not None and self._store.queue.add_trainings([refit.training]):
            self._events.note(f"job {refit.job_id[:8]}: its final training {refit.training.id[:8]} queued")

    @apply.register
    def _finish_job(self, action: FinishJob, now: datetime) -> None:
        if not action.pauses:
            self._end(action, now)
        elif (confirmed := self._confirmed(action, now)) is not None:
            self._pending.appendleft(DeleteCheckpoints(confirmed))

    @apply.register
    def _delete_checkpoints(self, step: DeleteCheckpoints, now: datetime) -> None:
        more = delete_page(self._store, self._artifacts, step.job_end.job_id, self._events)
        if more and step.pages_left > 1:
            self._pending.appendleft(replace(step, pages_left=step.pages_left - 1))
        else:
            self._pending.appendleft(EndJob(step.job_end))

    @apply.register
    def _end_job(self, step: EndJob, now: datetime) -> None:
        if self._store.rungs.some_rung_records(step.job_end.job_id, 1):
            return  # the next pass deletes more
        self._end(step.job_end, now)

    @apply.register
    def _cancel_training(self, action: CancelTraining, now: datetime) -> None:
        self._cancel(action.training_id, now)

    @apply.register
    def _cancel_late_training(self, action: CancelLate, now: datetime) -> None:
        self._store.recounts.ask(action.job_id, now)
        self._cancel(action.training_id, now)

    @apply.register
    def _recount(self, action: Recount, now: datetime) -> None:
        for trial in recount(self._store, action.job, now):
            self._cancel(trial.id, now)

    def _cancel(self, training_id: str, now: datetime) -> None:
        try:
            row = self._store.queue.request_cancel(training_id, now)
        except NotAllowed:
            return  # it ended meanwhile, which is as good
        if row.status == TrainingStatus.CANCELED:
            self._events.note(f"training {training_id[:8]} canceled", PassCount.CANCELED)
        else:
            self._events.note(f"training {training_id[:8]}: cancellation requested")

    @apply.register
    def _cancel_batch(self, step: CancelBatch, now: datetime) -> None:
        clusters: dict[str, list[CancelRun]] = {}
        for action in step.cancels:
            clusters.setdefault(action.attempt.cluster, []).append(action)
        calls = {cluster: partial(self._cancel_runs, cluster, actions) for cluster, actions in clusters.items()}
        self._events.call_clusters(calls, _CANCEL_SECONDS)

    def _cancel_runs(self, cluster: str, actions: Sequence[CancelRun]) -> None:
        for action in actions:
            with self._events.collect_errors(_name(action)):
                self._backends[cluster].cancel(action.attempt.run_name)
                self._events.note(f"training {action.training_id[:8]}: its run was asked to stop")

    @apply.register
    def _found_batch(self, step: FoundBatch, now: datetime) -> None:
        self._store.queue.note_found([(one.training_id, one.attempt, one.url) for one in step.found], now)

    @apply.register
    def _note_missing(self, action: NoteMissing, now: datetime) -> None:
        if self._store.queue.note_missing(action.training_id, action.attempt.number, now):
            cluster = action.attempt.cluster
            text = f"training {action.training_id[:8]}: {cluster} does not know its run; the next pass asks again"
            self._events.note(text)

    @apply.register
    def _cancel_leak(self, action: CancelLeak, now: datetime) -> None:
        leak = action.leak
        self._backends[leak.cluster].cancel(leak.run_name)
        self._events.note(f"run {leak.run_name} on {leak.cluster} was asked to stop: {leak.reason}")

    @apply.register
    def _note_silence(self, action: NoteSilence, now: datetime) -> None:
        if self._store.queue.note_silence(action.training_id, action.attempt.number, now):
            heard = action.heard
            silence = "not reported its start" if heard is None else f"given no sign of life since {heard:%F %T} UTC"
            self._events.note(f"training {action.training_id[:8]}: its run has {silence}")

    @apply.register
    def _end_silent_run(self, action: EndSilentRun, now: datetime) -> None:
        if self._store.queue.revoke_fence(action.training_id, action.attempt.number):
            self._cancel_batch(CancelBatch([CancelRun(action.training_id, action.attempt)]), now)

    @apply.register
    def _end_attempt(self, action: EndAttempt, now: datetime) -> None:
        self._attempt_ends.end(action, now)

    @apply.register
    def _submit_batch(self, step: SubmitBatch, now: datetime) -> None:
        self._launcher.submit(step.submits, now)

    @apply.register
    def _launch_batch(self, step: LaunchBatch, now: datetime) -> None:
        self._launcher.launch(step.launches, now)

    @apply.register
    def _keep_plots(self, step: KeepPlots, now: datetime) -> None:
        keep_plots(self._store, step, self._events)

    def _end(self, end: FinishJob, now: datetime) -> None:
        self._store.rungs.remove_rungs(end.job_id)  # all its trials have ended
        ended = self._store.jobs.finish_job(
            end.job_id, end.status, now, end.error, end.counts, end.best, end.front, end.front_version
        )
        if ended:
            self._cancel_late(end.job_id, now)
            reason = f": {end.error}" if end.error else ""
            self._events.note(f"job {end.job_id[:8]} {end.status}{reason}", PassCount.JOBS_ENDED)
        if ended and end.status == JobStatus.COMPLETED and self._artifacts is not None:
            self._pending.append(KeepPlots(end.job_id, self._artifacts))

    def _cancel_late(self, job_id: str, now: datetime) -> None:
        """Cancels trials that were added while their job was being ended: see observe/late_trials.py."""
        late = late_trials_of(self._store, job_id)
        if late:
            self._store.recounts.ask(job_id, now)
        for trial in late:
            self._cancel(trial.id, now)

    def _confirmed(self, action: Confirmed, now: datetime) -> Confirmed | None:
        """The action as a second observation of its job leads to it; None if that leads to none.

        A paused trial that another pass resumed after this one had counted the open trials, and before it looked for
        paused ones, is missing from both: its search would end too early, without its checkpoints.
        """
        state = observe_job(self._store, self._store.jobs.get_job(action.job_id), now, self._events)
        return next((one for one in plan_job(now, state) if isinstance(one, type(action))), None)


def _steps(actions: Sequence[Action]) -> list[Step]:
    """The actions, of which those that cancel runs follow together, then those that submit runs, in batches: first
    those that hold nodes already."""
    submits = [action for action in actions if isinstance(action, Submit)]
    launches = [action for action in actions if isinstance(action, Launch)]
    cancels = [action for action in actions if isinstance(action, CancelRun)]
    found = [action for action in actions if isinstance(action, NoteFound)]
    return [
        *(action for action in actions if not isinstance(action, Submit | Launch | CancelRun | NoteFound)),
        *([FoundBatch(found)] if found else []),
        *([CancelBatch(cancels)] if cancels else []),
        *(SubmitBatch(submits[i : i + _SUBMISSIONS_A_STEP]) for i in range(0, len(submits), _SUBMISSIONS_A_STEP)),
        *(LaunchBatch(launches[i : i + _SUBMISSIONS_A_STEP]) for i in range(0, len(launches), _SUBMISSIONS_A_STEP)),
    ]


def _name(step: Step) -> str:
    """The step with the document that it is about, if there is one."""
    about = [f"{kind} {id}" for kind in ("job", "training") if (id := getattr(step, f"{kind}_id", None))]
    return f"{type(step).__name__} of {about[-1]}" if about else type(step).__name__


def _resumption(action: ResumeTrial) -> str:
    parent = "" if action.replacement is None else f" from training {action.replacement.inheritance.parent[:8]}"
    end = "its end" if action.pause_at is None else f"epoch {action.pause_at}"
    return f"job {action.job_id[:8]}: training {action.row.id[:8]} resumed{parent}, to {end}"
