"""Converts stored trainings to Optuna's trials: those of a script, and those of a job that the service runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.trial import FrozenTrial, TrialState

from mitorch_service.models.search.job import Job
from mitorch_service.optuna_storage.documents import OBJECTIVE
from mitorch_service.optuna_storage.fields import from_fields, from_time
from mitorch_service.optuna_storage.space import parameters_of
from mitorch_service.search.space.space import Space, parse_space

_STATES = {
    "new": TrialState.WAITING,
    "queued": TrialState.WAITING,
    "running": TrialState.RUNNING,
    "completed": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "paused": TrialState.PRUNED,  # Optuna has no such state, and its job may never resume the trial
}


@dataclass(frozen=True)
class TrialView:
    """Converts the trials of one study."""

    objective: str  # the one whose curve is shown: of several the first
    space: Space | None = None  # of a job; None: a script's trials store their distributions themselves

    @classmethod
    def of_job(cls, job: Job) -> TrialView:
        """The view for a job that the service runs."""
        return cls(job.search.objectives()[0], parse_space(job.config)[0])

    def read(self, document: Mapping[str, Any], trial_id: int, records: Iterable[Mapping[str, Any]]) -> FrozenTrial:
        """Converts a stored training; `records` are its epochs or steps as stored."""
        fields = document.get("optuna") or {}
        values = self._values(document)
        params, distributions = self._parameters(document)
        return FrozenTrial(
            number=document["trial"]["number"],
            trial_id=trial_id,
            state=self.state(document),
            value=None,
            values=values,
            datetime_start=from_time(self._start(document)),
            datetime_complete=from_time(self._end(document)),
            params=params,
            distributions=distributions,
            user_attrs={**self._facts(document), **from_fields(fields.get("user_attrs"))},
            system_attrs=from_fields(fields.get("system_attrs")),
            intermediate_values=dict(self._curve(records)),
        )

    def state(self, document: Mapping[str, Any]) -> TrialState:
        """Optuna's name for the status. A trial that completed without finite objectives is a failure to Optuna."""
        if self.space is None:
            return TrialState[document["optuna_state"]]
        state = _STATES.get(document["status"], TrialState.FAIL)
        without_value = state == TrialState.COMPLETE and _measured(document["trial"]) is None
        return TrialState.FAIL if without_value else state

    def _values(self, document: Mapping[str, Any]) -> list[float] | None:
        if self.space is None:
            values: list[float] | None = (document.get("optuna") or {}).get("values")
            return values
        return _measured(document["trial"]) if self.state(document) == TrialState.COMPLETE else None

    def _parameters(self, document: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
        if self.space is not None:
            trial = document["trial"]
            return parameters_of(self.space, trial["parameters"], trial.get("options") or {})
        stored = from_fields((document.get("optuna") or {}).get("params"))
        distributions = {name: json_to_distribution(text) for name, (_, text) in stored.items()}
        return {name: distributions[name].to_external_repr(raw) for name, (raw, _) in stored.items()}, distributions

    def _start(self, document: Mapping[str, Any]) -> Any:
        return document["optuna"].get("start") if self.space is None else document["status_times"].get("running")

    def _end(self, document: Mapping[str, Any]) -> Any:
        if self.space is None:
            return document["optuna"].get("complete")
        return document["status_times"].get(document["status"]) if self.state(document).is_finished() else None

    def _facts(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The user attributes that the trials of a job have beside Optuna's fields."""
        if self.space is None:
            return {}
        facts = {"training": document["_id"], "status": document["status"]}
        error = document.get("error")
        return facts if not error else {**facts, "error": f"{error['type']}: {error['message']}"}

    def _curve(self, records: Iterable[Mapping[str, Any]]) -> Iterable[tuple[int, float]]:
        for record in records:
            value = record["metrics"].get(self.objective, record.get(self.objective))
            if value is not None:
                yield record["epoch"], value


def _measured(trial: Mapping[str, Any]) -> list[float] | None:
    value, values = trial.get("value"), trial.get("values")
    return values or (None if value is None else [value])


OPTUNAS = TrialView(OBJECTIVE)
