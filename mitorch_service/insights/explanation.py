"""Formats what a training or search would do (`misubmit --explain`)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mitorch_service.insights.training.script_fields import script_fields, without_record
from mitorch_service.models.config.script import NO_DATASET, is_script
from mitorch_service.models.search.job import Job
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.models.training import Training
from mitorch_service.stores.base import Store
from mitorch_service.wording.counted import counted

if TYPE_CHECKING:
    from mitorch_service.insights.search.forecast import Forecast

_CODE_FIELDS = ("code", "submitted with", "commit")
_SHOWN_TRIALS = 5


def explanation(document: Training | Job, store: Store | None = None) -> list[str]:
    """Lines for a person; with a store they include the time that earlier trainings took."""
    if isinstance(document, Training):
        return _training_lines(document)
    from mitorch_service.insights.search.forecast import forecast  # loads the searches

    return _job_lines(forecast(document, store))


def explanation_json(document: Training | Job, store: Store | None = None) -> dict[str, object]:
    """The same for programs."""
    config = without_record(document.config)
    if isinstance(document, Training):
        return {"kind": "training", "dataset": str(document.dataset), **_extent(document), "config": config}
    from mitorch_service.insights.search.forecast import forecast
    from mitorch_service.search.analysis.space_summary import idle_expressions

    found = forecast(document, store)
    return {
        "kind": "job",
        "dataset": str(document.dataset),
        "search": document.search.model_dump(mode="json"),
        "config": config,
        "epochs": found.all_epochs or None,
        "epochs_run": round(found.run_epochs) or None,
        "rungs": found.rungs,
        "node_hours": found.node_hours,
        "never_matters": [f"{problem.path} {problem.message}" for problem in idle_expressions(found.space)],
        "trials": [_trial_json(found, trial) for trial in found.trials],
    }


def _trial_json(forecast: Forecast, training: Training) -> dict[str, object]:
    from mitorch_service.search.analysis.space_summary import inactive

    number, parameters = (training.trial.number, training.trial.parameters) if training.trial else (None, {})
    config = without_record(training.config)
    return {
        "number": number,
        "parameters": parameters,
        "inactive": list(inactive(forecast.space, parameters)),
        "config": config,
    }


def _training_lines(training: Training) -> list[str]:
    what = f"One training{_on(training)}, {_length(training)}:"
    if is_script(training.config):
        what = f"One script{_on(training)}:"
    code = [
        f"{name}: {mask_secrets(str(value))}" for name, value in script_fields(training.config) if name in _CODE_FIELDS
    ]
    return [what, json.dumps(without_record(training.config)), *code]


def _extent(training: Training) -> dict[str, object]:
    steps = {} if training.max_steps is None else {"steps": training.max_steps}
    return {"epochs": training.max_epochs, **steps}


def _length(training: Training) -> str:
    if training.max_steps is not None:
        return counted(training.max_steps, "step")
    return counted(training.max_epochs, "epoch")


def _on(document: Training | Job) -> str:
    return "" if document.dataset == NO_DATASET else f" on {document.dataset}"


def _job_lines(forecast: Forecast) -> list[str]:
    from mitorch_service.search.analysis.space_summary import extent, idle_expressions

    job = forecast.job
    search = job.search
    article = "An" if search.algorithm == "auto" else "A"
    shown = forecast.trials[:_SHOWN_TRIALS]
    trials = forecast.most_trials
    rest = trials - len(shown)
    return [
        f"{article} {search.algorithm} search{_on(job)} to {search.goal()}:",
        f"{extent(forecast.space)};",
        f"{counted(trials, 'trial')}, at most {min(search.max_concurrent or trials, trials)} open at a time,",
        *(_epoch_lines(forecast) if forecast.max_epochs else []),
        f"seed {search.seed}.",
        *_refit_lines(job),
        *(f"never matters: {problem.path} {problem.message}" for problem in idle_expressions(forecast.space)),
        *(_trial_line(forecast, trial) for trial in shown),
        *([f"… and {rest} more"] if rest else []),
    ]


def _epoch_lines(forecast: Forecast) -> list[str]:
    search = forecast.job.search
    rungs = ", ".join(map(str, forecast.rungs))
    share = f"about {counted(round(forecast.run_epochs), 'epoch')} ({forecast.share:.0%}) are run;"
    lines = [f"at most {counted(forecast.all_epochs, 'epoch')} in all;"]
    if search.early_stopping is not None and search.resume_promoted:
        lines += [f"trials pause after epochs {rungs}, and the best resume from their checkpoints:", share]
    elif search.early_stopping is not None:
        run = f"about {round(forecast.run_epochs)} of them ({forecast.share:.0%}) are run;"
        lines.append(f"early stopping ({search.early_stopping.rule}): {run}")
    if search.algorithm == "pbt":
        lines.append(f"all are run; after epochs {rungs} the worst continue from checkpoints of the best;")
    if forecast.node_hours is not None:
        lines.append(f"about {forecast.node_hours:.3g} node hours, as earlier trainings took;")
    return lines


def _refit_lines(job: Job) -> list[str]:
    changes = job.search.refit
    if changes is None:
        return []
    return [f"then the winner is trained once more, with {json.dumps(changes) if changes else 'nothing changed'}."]


def _trial_line(forecast: Forecast, training: Training) -> str:
    from mitorch_service.search.analysis.space_summary import inactive

    parameters = {} if training.trial is None else training.trial.parameters
    number = None if training.trial is None else training.trial.number
    absent = ", ".join(inactive(forecast.space, parameters))
    return f"trial {number}: {json.dumps(parameters)}" + (f"  inactive: {absent}" if absent else "")
