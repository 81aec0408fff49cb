"""What misubmit --explain says of a search, before anything is queued."""

from __future__ import annotations

import json
from collections.abc import Sequence

from mitorch_service.controller.plan.expansion import expand, study_of
from mitorch_service.controller.plan.paused_trials import rungs_of
from mitorch_service.models.job import Job
from mitorch_service.models.training import Training
from mitorch_service.reports.prediction import (
    hours_an_epoch,
    model_name,
    predicted_promotion_share,
    predicted_share,
)
from mitorch_service.search.analysis.space_summary import extent, idle_expressions, inactive
from mitorch_service.search.space.space import Space, parse_space
from mitorch_service.stores.base import Store

_SHOWN_TRIALS = 5
_EARLIER = 100  # trainings whose time is looked at


def job_explanation(job: Job, store: Store | None = None) -> list[str]:
    """Size of the space, limits, predicted epochs, the first trials, and what of the config can never matter; with a
    store node hours too, where earlier trainings tell."""
    search, (space, _) = job.search, parse_space(job.config)
    trials = expand(job, study_of(job, space), None, 0, job.created_at)
    count, article = search.max_trials, "An" if search.algorithm == "auto" else "A"
    lines = [
        f"{article} {search.algorithm} search on {job.dataset} to {search.goal()}:",
        f"{extent(space)};",
        f"{count} trials, at most {search.max_concurrent or count} of them open at a time,",
        *_epochs(job, trials, store),
        f"seed {search.seed}.",
        *_refit(job),
        *(f"never matters: {problem.path} {problem.message}" for problem in idle_expressions(space)),
    ]
    for trial in trials[:_SHOWN_TRIALS]:
        lines.append(_shown(space, trial))
    rest = count - len(trials[:_SHOWN_TRIALS])
    return [*lines, f"… and {rest} more"] if rest else lines


def _refit(job: Job) -> list[str]:
    changes = job.search.refit
    if changes is None:
        return []
    return [f"then the winner is trained once more, with {json.dumps(changes) if changes else 'nothing changed'}."]


def _epochs(job: Job, trials: Sequence[Training], store: Store | None) -> list[str]:
    longest = max(trial.max_epochs for trial in trials)
    rule, whole = job.search.early_stopping, longest * job.search.max_trials
    if longest == 0:
        return []
    lines, parts = [f"at most some {whole} epochs in all;"], ", ".join(map(str, rungs_of(job)))
    if rule is not None and job.search.resume_promoted:
        share = predicted_promotion_share(rule, longest, job.search.max_trials)
        lines.append(f"trials pause after epochs {parts}, of which the best go on from their checkpoints:")
        lines.append(f"some {round(share * whole)} epochs ({share:.0%}) are run;")
    else:
        share = predicted_share(rule, longest, job.search.max_trials)
    if rule is not None and not job.search.resume_promoted:
        lines.append(f"early stopping ({rule.rule}): some {round(share * whole)} of them ({share:.0%}) are run;")
    if job.search.algorithm == "pbt":
        lines.append(f"all are run; after epochs {parts} the worst go on from checkpoints of the best;")
    earlier = [] if store is None else store.jobs.recent_trainings(job.dataset.name, _EARLIER)
    hours = hours_an_epoch(earlier, {name for name in map(model_name, trials) if name}, job.created_at)
    return (
        lines if hours is None else [*lines, f"some {hours * share * whole:.3g} node hours, as earlier trainings took;"]
    )


def _shown(space: Space, trial: Training) -> str:
    parameters = {} if trial.trial is None else trial.trial.parameters
    number = None if trial.trial is None else trial.trial.number
    absent = ", ".join(inactive(space, parameters))
    return f"trial {number}: {json.dumps(parameters)}" + (f"  inactive: {absent}" if absent else "")
