"""Plans one job: cancellation, resumed and new trials, its final training, its end. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from mitorch_service.controller.plan.actions import (
    Action,
    AddRefit,
    AddTrials,
    CancelTraining,
    FinishJob,
    ForgetPaused,
    NoteJob,
    SettleCost,
    UpdateJob,
)
from mitorch_service.controller.plan.search.expansion import TRIALS_A_PASS, expand
from mitorch_service.controller.plan.search.paused_trials import ResumeTrial
from mitorch_service.controller.plan.search.refit import refit_note, refit_training
from mitorch_service.controller.plan.snapshot import JobState
from mitorch_service.errors import MissingExtra
from mitorch_service.models.base import to_utc_milliseconds
from mitorch_service.models.status import JobStatus
from mitorch_service.models.training import Training, TrainingRow
from mitorch_service.wording.counted import counted

Phase = Callable[[datetime, JobState], list[Action] | None]  # None: it does not apply to the job now


def plan_job(now: datetime, state: JobState, queue: Sequence[TrainingRow] = ()) -> list[Action]:
    """Returns the actions for one job, in the order in which they are applied. `queue`: the head of the queue."""
    actions: list[Action] = []
    if state.paused_trials is not None:
        actions += map(ForgetPaused, state.paused_trials.stale)
    actions += _settle_cost(now, state, queue)
    search = _advance(now, state)
    if state.merge is not None:
        actions.append(state.merge)
        if any(isinstance(action, FinishJob) for action in search):
            search = _progress(state)  # the next pass ends the job, with a front that covers all its trials
    return actions + search


def _advance(now: datetime, state: JobState) -> list[Action]:
    """The first phase that applies to the job decides; if none does, its search is over."""
    phases: tuple[Phase, ...] = (_end_early, _add_trials, _wait_for_trials, _resume_best, _train_final)
    for phase in phases:
        actions = phase(now, state)
        if actions is not None:
            return actions
    return _conclude(state)


def _end_early(now: datetime, state: JobState) -> list[Action] | None:
    """A job that was canceled, or has too many failed trials, cancels its open trainings and ends after them."""
    if not state.ends_early:
        return None
    if state.open_count > 0 or (state.refit is not None and state.refit.is_open):
        return [CancelTraining(trial.id) for trial in state.open_trials if trial.cancel_requested_at is None]
    if state.job.cancel_requested_at is not None:
        return [_finish(state, JobStatus.CANCELED)]
    limit = state.job.search.max_failed
    error = f"{counted(state.failed_count, 'trial')} failed, more than search.max_failed allows ({limit})"
    return [_finish(state, JobStatus.FAILED, error)]


def _add_trials(now: datetime, state: JobState) -> list[Action] | None:
    """Within its budget and time, a job resumes paused trials, then creates new ones."""
    if state.refit is not None or state.spent or state.is_over(now):
        return None
    if state.space_problems:
        return [_finish_unusable(state, "; ".join(map(str, state.space_problems)))]
    resumed: Sequence[ResumeTrial] = ()
    try:
        resumed = _trials_to_resume(state)
        created = _trials_to_create(now, state, len(resumed))
    except MissingExtra:  # recorded by the observation; another controller may have the packages
        return [*resumed, *_progress(state)]
    except (ValueError, LookupError, TypeError, ArithmeticError) as error:  # its document was edited by hand
        return [_finish_unusable(state, str(error))]
    if not resumed and not created:
        return None
    added = [AddTrials(state.job.id, created, state.job.status == JobStatus.NEW)] if created else []
    return [*resumed, *added, *_progress(state)]


def _wait_for_trials(now: datetime, state: JobState) -> list[Action] | None:
    """Open trials run to their end, except those that had not begun when the budget was spent."""
    if state.open_count == 0:
        return None
    unbegun = [trial for trial in state.open_trials if state.spent and trial.attempt == 0]
    return [*(CancelTraining(trial.id) for trial in unbegun), *_progress(state)]


def _resume_best(now: datetime, state: JobState) -> list[Action] | None:
    """If no trial has run to its end, the best paused one does, even after `max_time`."""
    if state.paused_trials is None or state.spent:
        return None
    best = state.paused_trials.best_to_resume()
    return None if best is None else [best, *_progress(state)]


def _train_final(now: datetime, state: JobState) -> list[Action] | None:
    """The winner is trained once more if the job wants that (`search.refit`); the job ends after that training."""
    if state.refit is not None and state.refit.is_open and state.best is not None:
        return _progress(state)
    if state.refit is not None or state.job.search.refit is None or state.best is None or state.spent:
        return None
    try:
        training = refit_training(state.job, state.study.space, state.best, to_utc_milliseconds(now))
    except (ValueError, LookupError, TypeError) as error:  # its document was edited by hand
        note = f"its final training (search.refit) cannot be created: {error}"
        return [NoteJob(state.job.id, note), _finish(state, JobStatus.COMPLETED)]
    return [AddRefit(state.job.id, training), *_progress(state)]


def _conclude(state: JobState) -> list[Action]:
    """A search that found something is completed; one without a finite value has failed."""
    if state.best is not None or state.job.front:
        return [_finish(state, JobStatus.COMPLETED)]
    objectives = " and ".join(state.job.search.objectives())
    return [_finish(state, JobStatus.FAILED, f"no trial gave a finite {objectives}")]


def _trials_to_resume(state: JobState) -> Sequence[ResumeTrial]:
    limit = state.job.search.max_concurrent
    most = TRIALS_A_PASS if limit is None else limit - state.open_count
    return () if state.paused_trials is None else state.paused_trials.to_resume(most)


def _trials_to_create(now: datetime, state: JobState, resumed: int) -> tuple[Training, ...]:
    return expand(
        state.job,
        state.study,
        state.last_number,
        state.open_count + resumed,
        to_utc_milliseconds(now),
        state.records,
        state.failed_count,
    )


def _settle_cost(now: datetime, state: JobState, queue: Sequence[TrainingRow]) -> list[Action]:
    """Stores the final part of the cost, and the note. The cost of a trial that will run again is no longer final."""
    job, settled, note = state.job, state.settled, _note(now, state)
    new_note = note if note != job.note else None
    if job.search.max_cost is None:
        return [] if new_note is None else [NoteJob(job.id, new_note)]
    if settled is not None and any(r.job_id == job.id and r.trial and r.trial.number < settled.below for r in queue):
        settled = None
    if settled == job.settled and note == job.note:
        return []
    return [SettleCost(job.id, job.settled, settled, note, new_note)]


def _note(now: datetime, state: JobState) -> str | None:
    notes = [limit_note(now, state), refit_note(state.best, state.refit)]
    return "; ".join(note for note in notes if note) or None


def limit_note(now: datetime, state: JobState) -> str | None:
    """Returns that the budget of a job is spent, or its time over; None if neither is."""
    search = state.job.search
    if state.spent:
        skipped = " and no final training" if search.refit is not None and state.refit is None else ""
        return f"its budget of {search.max_cost:.2f} is spent: no new trials{skipped}"
    if state.is_over(now):
        return f"its time (search.max_time) of {search.max_time:g} s is over: no new trials"
    return None


def _progress(state: JobState) -> list[Action]:
    """Stores counts and winner where they have changed."""
    changed = dict(state.counts) != state.job.counts or state.best != state.job.best
    return [UpdateJob(state.job.id, state.counts, state.best)] if changed else []


def _finish_unusable(state: JobState, problem: str) -> FinishJob:
    return _finish(state, JobStatus.FAILED, f"its search space cannot be used: {problem}")


def _finish(state: JobState, status: JobStatus, error: str | None = None) -> FinishJob:
    job = state.job
    front = job.front or ()
    return FinishJob(job.id, status, error, state.counts, state.best, front, job.front_version, job.search.pauses)
