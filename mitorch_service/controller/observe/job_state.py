"""Observes one active job: its space, its trials' counts and winner, and what the next phase of its search needs."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from mitorch_service.controller.event_log import EventLog
from mitorch_service.controller.observe.budget import job_cost
from mitorch_service.controller.observe.history import read_history
from mitorch_service.controller.observe.pareto_front import read_merge
from mitorch_service.controller.observe.paused_trials import best_of_highest_rung, observe_paused_trials
from mitorch_service.controller.observe.refit import read_refit
from mitorch_service.controller.plan.search.expansion import room, study_of
from mitorch_service.controller.plan.search.refit import RefitState, with_refit
from mitorch_service.controller.plan.snapshot import JobState
from mitorch_service.models.search.job import BestTrial, Job
from mitorch_service.models.training import TrainingRow
from mitorch_service.search.samplers.registry import check_installed
from mitorch_service.search.space.space import parse_space
from mitorch_service.stores.base import Store

_OPEN_TRIALS_A_PASS = 1000


def observe_job(store: Store, job: Job, now: datetime, events: EventLog) -> JobState:
    """Reads the state of a job, never its whole history unless its sampler needs that. Records missing packages."""
    space, problems = parse_space(job.config)
    # The number before the counts: trials that another pass adds in between are counted, never overlooked.
    last_number = store.jobs.last_trial_number(job.id, job.arrival)
    counts = store.trainings.count_trainings(job.id)
    refit = read_refit(store, job)
    best = best_so_far(store, job, refit)
    merge = read_merge(store, job)
    state = JobState(
        job, study_of(job, space), counts, last_number, best, refit=refit, merge=merge, space_problems=problems
    )
    if job.search.max_cost is not None:
        cost, settled = job_cost(store, job, state.open_count, now)
        state = replace(state, cost=cost, settled=settled)
    if job.search.pauses and state.best is None:
        best = best_of_highest_rung(store, job) or job.best  # the rungs may be gone: a pass died while ending the job
        state = replace(state, best=best)
    if state.ends_early or state.spent:
        return replace(state, open_trials=_open_trainings(store, job, refit))
    if refit is not None:
        return state
    return _with_search(store, state, now, events)


def _open_trainings(store: Store, job: Job, refit: RefitState | None) -> list[TrainingRow]:
    trials: list[TrainingRow] = [*store.jobs.open_trials(job.id, _OPEN_TRIALS_A_PASS).items]
    if refit is not None and refit.training is not None and refit.is_open:
        trials.append(refit.training)
    return trials


def _with_search(store: Store, state: JobState, now: datetime, events: EventLog) -> JobState:
    """Reads the paused trials, and the history if new trials may be created."""
    job, counts, last_number, open_count = state.job, state.counts, state.last_number, state.open_count
    paused = observe_paused_trials(store, job, state.study, counts, last_number, open_count)
    state = replace(state, paused_trials=paused)
    if state.space_problems or state.is_over(now) or room(job, last_number, open_count, state.failed_count) == 0:
        return state
    with events.collect_errors(f"job {job.id}"):  # without the packages the plan leaves the job as it is
        check_installed(job.search.algorithm)
    return replace(state, records=read_history(store, job, state.study.space, last_number))


def best_so_far(store: Store, job: Job, refit: RefitState | None) -> BestTrial | None:
    """Returns the best completed trial of a job, with its final training; None if there is none, or the job has several
    objectives."""
    return with_refit(_best_trial(store, job), refit, job.search.objectives()[0])


def _best_trial(store: Store, job: Job) -> BestTrial | None:
    for row in store.jobs.best_trials(job.id, job.search.resolved_direction(), limit=1).items:
        if row.trial is not None and row.trial.value is not None:
            return BestTrial(
                training_id=row.id,
                number=row.trial.number,
                value=row.trial.value,
                parameters=row.trial.parameters,
                options=row.trial.options,
                model=row.artifacts.get("model"),
            )
    return None
