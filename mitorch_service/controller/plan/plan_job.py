"""What a pass does about the searches: their next trials, their ends, and what is told of them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mitorch_service.controller.plan.actions import (
    Action,
    AddRefit,
    AddTrials,
    CancelTraining,
    FinishJob,
    NoteJob,
    SettleCost,
    UpdateJob,
)
from mitorch_service.controller.plan.expansion import TRIALS_A_PASS, expand, failed_count, is_over
from mitorch_service.controller.plan.paused_trials import ResumeTrial
from mitorch_service.controller.plan.refit import refit_note, refit_training
from mitorch_service.controller.plan.snapshot import JobState
from mitorch_service.errors import MissingExtra
from mitorch_service.models.base import to_utc_milliseconds
from mitorch_service.models.job import BestTrial
from mitorch_service.models.status import OPEN, JobStatus
from mitorch_service.models.training import (
    Training,
    TrainingRow,
)


def plan_job(now: datetime, state: JobState) -> list[Action]:
    """Creates the next trials of a job, ends it when all have ended (and its final training, where it wants one), or
    winds it up when it is to be canceled. A job whose budget is spent gets no more trials, those that have not begun
    are canceled, and it ends with the others; one whose time is over gets no more trials. Of trials that run in parts
    those that are paused go on before new ones begin; when its time is over, only the best one does."""
    job = state.job
    open_count = sum(state.counts.get(status, 0) for status in OPEN)
    end = _early_end(state)
    if end is not None and (open_count > 0 or (state.refit is not None and state.refit.is_open)):
        return [CancelTraining(trial.id) for trial in state.open_trials if trial.cancel_requested_at is None]
    if end is not None:
        return [_finish(state, *end)]
    over = state.refit is not None or state.spent or is_over(job, now)
    resumed: list[ResumeTrial] = []
    try:
        resumed = [] if over else _resumed_trials(state, open_count)
        trials = () if over else _next_trials(now, state, open_count + len(resumed))
    except MissingExtra:  # told by who looked at the job: another controller may have it
        return [*resumed, *_progress(state)]
    except (ValueError, LookupError, TypeError, ArithmeticError) as error:  # its document was changed by hand
        return [_finish(state, JobStatus.FAILED, f"its search space cannot be used: {error}")]
    if trials or resumed:
        return [*resumed, *([AddTrials(job.id, trials)] if trials else []), *_progress(state)]
    if open_count == 0 and state.paused_trials is not None and not state.spent and (last := state.paused_trials.last()):
        return [*last, *_progress(state)]
    if open_count == 0:
        if state.best is not None:
            return _conclude(now, state, state.best)
        if job.front:
            return [_finish(state, JobStatus.COMPLETED)]
        return [_finish(state, JobStatus.FAILED, f"no trial gave a finite {' and '.join(job.search.objectives())}")]
    unbegun = [trial for trial in state.open_trials if state.spent and trial.attempt == 0]
    return [*(CancelTraining(trial.id) for trial in unbegun), *_progress(state)]


def settle(now: datetime, state: JobState, queue: Sequence[TrainingRow]) -> list[Action]:
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


def merged_first(state: JobState, actions: Sequence[Action]) -> list[Action]:
    """A job ends with a front that was told of all its trials."""
    if state.merge is None:
        return [*actions]
    ends = any(isinstance(action, FinishJob) for action in actions)
    return [state.merge, *(_progress(state) if ends else actions)]


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


def _resumed_trials(state: JobState, open_count: int) -> list[ResumeTrial]:
    limit = state.job.search.max_concurrent
    most = TRIALS_A_PASS if limit is None else limit - open_count
    return [] if state.paused_trials is None else state.paused_trials.go_on(most)


def _next_trials(now: datetime, state: JobState, open_count: int) -> tuple[Training, ...]:
    at, failed = to_utc_milliseconds(now), failed_count(state.counts)
    return expand(state.job, state.last_number, open_count, at, state.records, failed)


def _progress(state: JobState) -> list[Action]:
    changed = dict(state.counts) != state.job.counts or state.best != state.job.best
    return [UpdateJob(state.job.id, state.counts, state.best)] if changed else []


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
