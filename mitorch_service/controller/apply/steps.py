"""What a pass does, step by step: each whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import assert_never

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.backends.base import Backend
from mitorch_service.controller.apply.attempt_end import AttemptEnds
from mitorch_service.controller.apply.checkpoint_cleanup import delete_page
from mitorch_service.controller.apply.launch import Launching
from mitorch_service.controller.event_log import EventLog
from mitorch_service.controller.observe.observation import Observation
from mitorch_service.controller.observe.pareto_front import store_merge
from mitorch_service.controller.pass_report import Counted
from mitorch_service.controller.plan.actions import (
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
from mitorch_service.controller.plan.paused_trials import ResumeTrial
from mitorch_service.controller.plan.plan_job import plan_job
from mitorch_service.errors import ArtifactError, NotAllowed
from mitorch_service.models.status import ACTIVE_JOBS, TrainingStatus
from mitorch_service.stores.base import Store

_SUBMISSIONS_A_STEP = 100  # claimed, submitted and recorded together
_DELETIONS_A_PASS = 1000  # pages of paused trials, for as long as there is time


class Steps:
    """Of one pass."""

    def __init__(
        self,
        store: Store,
        backends: Mapping[str, Backend],
        artifacts: ArtifactStore | None,
        observation: Observation,
        events: EventLog,
    ) -> None:
        self._store, self._backends, self._artifacts = store, backends, artifacts
        self._observation, self._events = observation, events
        self._launching, self._attempt_ends = Launching(store, backends, events), AttemptEnds(store, backends, events)

    def of(self, actions: Sequence[Action], now: datetime) -> Iterator[Callable[[], None]]:
        """What is done whole or not at all by a pass. Submissions come last, some at a time."""
        claimed = [action for action in actions if isinstance(action, Submit)]
        launches = [action for action in actions if isinstance(action, Launch)]
        for action in actions:
            if isinstance(action, FinishJob) and action.pauses:
                yield from self._finish_pausing_job(action.job_id, now)
            elif not isinstance(action, Submit | Launch):
                yield partial(self._apply, action, now)
        for start in range(0, len(claimed), _SUBMISSIONS_A_STEP):
            yield partial(self._launching.submit, claimed[start : start + _SUBMISSIONS_A_STEP], now)
        for start in range(0, len(launches), _SUBMISSIONS_A_STEP):
            yield partial(self._launching.launch, launches[start : start + _SUBMISSIONS_A_STEP], now)

    def _apply(self, action: Action, now: datetime) -> None:  # noqa: C901, PLR0912 - one case for each kind
        match action:
            case AddTrials():
                added = self._store.queue.add_trainings(action.trainings)
                if added:
                    self._events.note(
                        f"job {action.job_id[:8]}: {added} trials queued", Counted.TRIALS_ADDED, number=added
                    )
            case AddRefit():
                self._add_refit(action.job_id, now)
            case ResumeTrial():
                self._resume_trial(action, now)
            case ForgetPaused():
                self._store.rungs.forget_paused(action.record)
            case UpdateJob():
                self._store.jobs.update_job(action.job_id, action.counts, action.best, now)
            case MergeFront():
                store_merge(self._store, action)
            case SettleCost():
                if (
                    self._store.costs.settle_cost(action.job_id, action.before, action.settled, action.note)
                    and action.news
                ):
                    self._events.note(f"job {action.job_id[:8]}: {action.news}")
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
                self._events.note(f"training {action.training_id[:8]}: its run was asked to stop")
            case EndAttempt():
                self._attempt_ends.end(action, now)
            case _:
                assert_never(action)

    def _note_job(self, action: NoteJob) -> None:
        if self._store.jobs.note_job(action.job_id, action.note):
            self._events.note(f"job {action.job_id[:8]}: {action.note}")

    def _add_refit(self, job_id: str, now: datetime) -> None:
        """The job is looked at once more: a paused trial that another pass took on meanwhile may win yet."""
        for found in plan_job(now, self._observation.job_state(self._store.jobs.get_job(job_id), now)):
            if isinstance(found, AddRefit) and self._store.queue.add_trainings([found.training]):
                self._events.note(f"job {job_id[:8]}: its final training {found.training.id[:8]} queued")

    def _resume_trial(self, action: ResumeTrial, now: datetime) -> None:
        if self._store.jobs.get_job(action.job_id).status not in ACTIVE_JOBS:
            return  # this pass has slept, and another one has ended the job
        if self._store.rungs.resume_trial(action.row, action.pause_at, action.priority, now, action.course):
            how = "" if action.course is None else f" as training {action.course.inheritance.parent[:8]} was"
            where = "to its end" if action.pause_at is None else f"to epoch {action.pause_at}"
            text = f"job {action.job_id[:8]}: training {action.row.id[:8]} goes on{how}, {where}"
            self._events.note(text, Counted.TRIALS_RESUMED)
        if action.record is not None:
            self._store.rungs.forget_paused(action.record)

    def _finish_pausing_job(self, job_id: str, now: datetime) -> Iterator[Callable[[], None]]:
        """Ends a job whose trials run in parts, and deletes first, step by step, what they have kept to go on from.

        One that another pass took on after this one had counted what is open, and before it looked at what is paused,
        was in neither: so both are looked at once more."""
        over: list[Action] = []
        more = True

        def look_again() -> None:
            found = plan_job(now, self._observation.job_state(self._store.jobs.get_job(job_id), now))
            over.extend(action for action in found if isinstance(action, FinishJob))

        def tell(error: ArtifactError) -> None:
            self._events.note(str(error), failed=True)

        def delete() -> None:
            nonlocal more
            more = False  # what fails is events, and left to the next pass
            more = delete_page(
                self._store, self._artifacts, job_id, lambda error: self._events.note(str(error), failed=True)
            )

        yield look_again
        for _ in range(_DELETIONS_A_PASS if over else 0):
            if more:
                yield delete
        yield from (partial(self._apply, action, now) for action in over)

    def _finish(self, action: FinishJob, now: datetime) -> None:
        if action.pauses and self._store.rungs.some_rung_records(action.job_id, 1):
            return  # the next pass goes on deleting
        self._store.rungs.remove_rungs(action.job_id)  # all its trials have ended
        ended = action.counts, action.best, action.front, action.front_version
        if self._store.jobs.finish_job(action.job_id, action.status, now, action.error, *ended):
            why = f": {action.error}" if action.error else ""
            self._events.note(f"job {action.job_id[:8]} {action.status}{why}", Counted.JOBS_ENDED)

    def _cancel_trial(self, training_id: str, now: datetime) -> None:
        try:
            row = self._store.queue.request_cancel(training_id, now)
        except NotAllowed:
            return  # it ended meanwhile, which is as good
        if row.status == TrainingStatus.CANCELED:
            self._events.note(f"training {training_id[:8]} canceled", Counted.CANCELED)
        else:
            self._events.note(f"training {training_id[:8]} is asked to stop")
