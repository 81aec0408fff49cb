"""Translates an Optuna script's study and its trials into a job and trainings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from mitorch_service.models.base import new_id, to_utc_milliseconds
from mitorch_service.models.dataset import DatasetRef
from mitorch_service.models.search.job import Job, SearchConfig, trial_id
from mitorch_service.models.status import JobStatus, TrainingStatus
from mitorch_service.models.training import MAX_ATTEMPTS, Progress, Training, TrainingErrorInfo, Trial, next_arrival
from mitorch_service.optuna_storage.fields import to_fields, to_key, to_time
from mitorch_service.optuna_storage.ids import job_id_of

OBJECTIVE = "value"  # the name of a script's objective, where ours have a metric's name
_MAX_TRIALS = 1_000_000  # the limit of a job
_DATASET = DatasetRef(name="optuna")
_NOTE = "An Optuna script's study: the script runs its trials, and those that have not ended are shown as canceled."
_OPEN = TrainingErrorInfo(type="NotEnded", message="an Optuna script runs this trial, or will").to_document()
_FAILED = TrainingErrorInfo(type="Failed", message="the objective function of the Optuna script failed").to_document()
STATUSES = {  # of trials that a script has ended
    TrialState.COMPLETE: TrainingStatus.COMPLETED,
    TrialState.PRUNED: TrainingStatus.PRUNED,
    TrialState.FAIL: TrainingStatus.FAILED,
}


def new_study(name: str, directions: Sequence[StudyDirection], now: datetime) -> tuple[Job, dict[str, Any]]:
    """Builds the job of a study, with the fields beside it; `write_mark` identifies the writer. The job is completed,
    so that the controller does not expand it."""
    names = [direction.name.lower() for direction in directions]
    job = Job(
        id=job_id_of(name),
        status=JobStatus.COMPLETED,
        arrival=next_arrival(),
        created_at=now,
        dataset=_DATASET,
        name=name,
        config={},
        search=SearchConfig.model_validate(
            {"objective": objectives(len(names)), "direction": names, "max_trials": _MAX_TRIALS}
        ),
        note=_NOTE,
    )
    return job, {"write_mark": new_id(), "optuna": {"directions": names}}


def objectives(count: int) -> list[str]:
    """The names of a script's objectives."""
    return [OBJECTIVE] if count == 1 else [f"{OBJECTIVE}_{number}" for number in range(count)]


def new_trial(
    job: Mapping[str, Any], number: int, template: FrozenTrial | None, now: datetime
) -> tuple[Training, dict[str, Any]]:
    """Builds a trial that runs from now on, or waits if the template does; its end is not copied from the template."""
    training = Training(
        id=trial_id(job["_id"], number),
        status=TrainingStatus.CANCELED,
        arrival=job["arrival"] + number,
        created_at=now,
        attempt=MAX_ATTEMPTS,
        dataset=_DATASET,
        config={},
        name=job["name"],
        job_id=job["_id"],
        trial=_trial(number, job["search"]),
        error=TrainingErrorInfo.from_document(_OPEN),
    )
    if template is not None and template.last_step is not None:
        last = value_changes(template.last_step, template.intermediate_values[template.last_step], now)
        training = training.model_copy(update={"progress": Progress.from_document(last["progress"])})
    waits = template is not None and template.state == TrialState.WAITING
    fields: dict[str, Any] = {"start": now.astimezone(UTC).isoformat()}
    if template is not None:
        fields = {
            "start": to_time(template.datetime_start),
            "params": parameter_fields(template),
            "user_attrs": to_fields(template.user_attrs),
            "system_attrs": to_fields(template.system_attrs),
        }
    state = TrialState.WAITING if waits else TrialState.RUNNING
    return training, {"optuna_state": state.name, "write_mark": new_id(), "optuna": fields}


def parameter_fields(trial: FrozenTrial) -> dict[str, str]:
    """The parameters of a trial, as `parameter_field` has each."""
    internal = {name: d.to_internal_repr(trial.params[name]) for name, d in trial.distributions.items()}
    return to_fields({name: [internal[name], distribution_to_json(d)] for name, d in trial.distributions.items()})


def parameter_field(name: str, internal: float, distribution: BaseDistribution) -> dict[str, str]:
    """The change that sets a parameter: Optuna's internal value and its distribution."""
    fields = to_fields({name: [internal, distribution_to_json(distribution)]})
    return {f"optuna.params.{key}": text for key, text in fields.items()}


def state_changes(
    trial: FrozenTrial, state: TrialState, values: Sequence[float] | None, at: datetime
) -> dict[str, Any]:
    """The change of a trial's state, without its status; `trial`: before the change."""
    now = at.astimezone(UTC).isoformat()
    changes: dict[str, Any] = {"optuna_state": state.name, "write_mark": new_id()}
    if values is not None:
        changes["optuna.values"] = [float(value) for value in values]
    if state == TrialState.RUNNING:
        changes["optuna.start"] = now
    if state in STATUSES:
        changes["optuna.complete"] = now
        changes["error"] = _FAILED if state == TrialState.FAIL else None
        changes["trial.parameters"] = {_shown_name(name): _shown(value) for name, value in trial.params.items()}
    if state == TrialState.COMPLETE and values is not None and all(map(math.isfinite, values)):
        measured = dict(zip(objectives(len(values)), map(float, values), strict=True))
        changes["evaluation"] = measured
        if len(values) == 1:
            changes["trial.value"] = measured[OBJECTIVE]
        else:
            changes["trial.values"] = [*measured.values()]
    return changes


def value_changes(step: int, value: float, now: datetime) -> dict[str, Any]:
    """The change that shows a trial's last intermediate value as its progress."""
    at = to_utc_milliseconds(now)
    return {"progress": {"epoch": step, "max_epochs": 0, "metrics": {OBJECTIVE: value}, "at": at}}


def value_record(step: int, value: float, now: datetime) -> dict[str, Any]:
    """An intermediate value as the result of an epoch; fields that the script does not report are None."""
    unknown = dict.fromkeys(("train_loss", "learning_rate", "epoch_seconds", "samples_per_second"))
    at = to_utc_milliseconds(now)
    return {"attempt": MAX_ATTEMPTS, "epoch": step, "metrics": {OBJECTIVE: value}, "finished_at": at, **unknown}


def _trial(number: int, search: Mapping[str, Any]) -> Trial:
    config = SearchConfig.model_validate(search)
    names = config.objectives()
    several = list(names) if len(names) > 1 else []
    direction = config.resolved_direction()
    return Trial(number=number, parameters={}, objective=names[0], direction=direction, objectives=several)


def _shown_name(name: str) -> str:
    return to_key(name) if name.startswith("$") or "\0" in name else name


def _shown(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | None) else repr(value)
