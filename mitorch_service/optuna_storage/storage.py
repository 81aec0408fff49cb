"""A storage for Optuna's studies over our store::

    import optuna
    from mitorch_service.optuna_storage.storage import MiTorchStorage

    def objective(trial):
        return (trial.suggest_float("x", -10, 10) - 2) ** 2

    study = optuna.create_study(storage=MiTorchStorage(), study_name="mine", load_if_exists=True)
    study.optimize(objective, n_trials=20)

A study is a job and a trial a training, so that `miquery` shows what a script does. A script's trials run on no
cluster: see `stores.studies`. A job of misubmit is a study whose name is the job's id; its trials can be read, and
given attributes while they have not ended, but only the service adds, runs and ends them.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import chain
from typing import Any

from mitorch_service.errors import MissingExtra, NotAllowed
from mitorch_service.models.base import to_utc_milliseconds
from mitorch_service.models.search.job import trial_id as training_id_of
from mitorch_service.models.search.objectives import Direction
from mitorch_service.models.status import OPEN, TrainingStatus

try:
    from optuna.distributions import BaseDistribution
    from optuna.study import StudyDirection
    from optuna.trial import FrozenTrial, TrialState
except ModuleNotFoundError as error:
    raise MissingExtra(error.name or "optuna", "search") from error

from mitorch_service.optuna_storage import documents
from mitorch_service.optuna_storage.fields import to_fields
from mitorch_service.optuna_storage.ids import MAX_TRIALS, split_trial_id, study_id_of, trial_id_of
from mitorch_service.optuna_storage.studies import StudyStorage

_OPEN = (TrialState.RUNNING.name, TrialState.WAITING.name)
_FEW = 5  # first trials of the leaderboard: nearly always the best completed one is among them


class MiTorchStorage(StudyStorage):
    """Implements Optuna's contract over a store. Every write is one guarded change of one document. Beside Optuna's
    errors it raises StoreUnavailable, StoreError, and NotAllowed for what only the service may do."""

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        job = self._optuna_job(
            study_id, "given trials by a script", "Submit another job, with these in search.enqueue."
        )
        number = self._add_trial(job, template_trial)
        trial_id = trial_id_of(study_id, number)
        self._arrivals[trial_id] = job["arrival"] + number
        if template_trial is not None:
            now, values = self._now(), template_trial.intermediate_values
            records = {step: documents.value_record(step, value, now) for step, value in values.items()}
            self._store.studies.add_study_values(training_id_of(job["_id"], number), records)
            if template_trial.state.is_finished():
                end = template_trial.datetime_complete
                at = now if end is None else end.astimezone()
                self._set_state(trial_id, template_trial, template_trial.state, template_trial.values, at)
        return trial_id

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        study_id, _ = split_trial_id(trial_id)
        known = False
        with suppress(ValueError):  # what is known may be of an earlier study of this name
            known = self._study(study_id).knows(param_name, distribution)
        if not known:
            self._check_open(trial_id)
            self._job(study_id)
            self._study(study_id).add_parameter(param_name, distribution)
        self._change(trial_id, documents.parameter_field(param_name, param_value_internal, distribution))

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        trial = self._check_open(trial_id)
        if state == TrialState.RUNNING and trial.state == TrialState.RUNNING:
            return False
        if self._set_state(trial_id, trial, state, values, self._now()):
            return True
        self._check_open(trial_id)
        if state == TrialState.RUNNING:
            return False  # another worker took it
        raise self._replaced(trial_id)

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        now = self._now()
        changes = documents.value_changes(step, intermediate_value, now)
        record = documents.value_record(step, intermediate_value, now)
        id, guard = self._training_id(trial_id), self._guard(trial_id)
        if self._store.studies.record_study_value(id, guard, changes, step, record) is None:
            self._check_open(trial_id)
            raise self._replaced(trial_id)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._set_attr(trial_id, "user_attrs", key, value)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._set_attr(trial_id, "system_attrs", key, value)

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        job = self._job(study_id)
        if self._store.studies.study_trial(training_id_of(job["_id"], trial_number)) is None:
            raise KeyError(f"There is no trial {trial_number} of study {study_id}.")
        return trial_id_of(study_id, trial_number)

    def get_trial_number_from_id(self, trial_id: int) -> int:
        if self._store.studies.study_trial(self._training_id(trial_id)) is None:
            raise KeyError(f"There is no trial {trial_id}.")
        return split_trial_id(trial_id)[1]

    def get_trial(self, trial_id: int) -> FrozenTrial:
        document = self._store.studies.study_trial(self._training_id(trial_id))
        if document is None:
            raise KeyError(f"There is no trial {trial_id}.")
        return self._study(split_trial_id(trial_id)[0]).read(document)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        self._job(study_id)
        trials = self._study(study_id).trials()
        if states is not None:
            trials = [trial for trial in trials if trial.state in states]
        return copy.deepcopy(trials) if deepcopy else trials

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        """Uses the index of the leaderboard, which has the finite values. Of equal trials it returns any."""
        directions = self.get_study_directions(study_id)
        if len(directions) > 1:
            raise RuntimeError("A study with several objectives has no best trial: see best_trials.")
        minimize = directions[0] == StudyDirection.MINIMIZE
        first, last = (-math.inf, math.inf) if minimize else (math.inf, -math.inf)
        number = self._with_infinite_value(study_id, first)
        if number is None:
            number = self._best_finite(study_id, "minimize" if minimize else "maximize")
        if number is None:
            number = self._with_infinite_value(study_id, last)
        if number is None:
            raise ValueError(f"No trial of study {study_id} is completed yet.")
        return self.get_trial(trial_id_of(study_id, number))

    def _add_trial(self, job: Mapping[str, Any], template: FrozenTrial | None) -> int:
        """Adds a trial under the next free number; returns that."""
        study = self._study(study_id_of(job["_id"]))
        while True:
            number = study.next_number
            if number is None:
                last = self._store.jobs.last_trial_number(job["_id"], job["arrival"])
                number = 0 if last is None else last + 1
            if number >= MAX_TRIALS:
                raise NotAllowed("study", job["name"], "full", "given more trials", "Start another one.")
            training, fields = documents.new_trial(job, number, template, self._now())
            added = self._store.studies.add_study_trial(training, fields) or self._is_ours(
                training.id, fields["write_mark"]
            )
            study.next_number = number + 1 if added else None
            if added:
                return number

    def _set_state(
        self,
        trial_id: int,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
        at: datetime,
    ) -> bool:
        """Returns False if the trial has changed since it was read."""
        study_id, number = split_trial_id(trial_id)
        if state == TrialState.COMPLETE and values and math.isinf(values[0]):
            marks = {f"optuna.infinite.{_side(values[0])}": number}
            self._store.studies.change_study(self._study(study_id).job_id, {}, marks)
        states = (TrialState.WAITING.name,) if state == TrialState.RUNNING else _OPEN
        changes = documents.state_changes(trial, state, values, at)
        id, guard = self._training_id(trial_id), self._guard(trial_id, states)
        status = documents.STATUSES.get(state)
        if status is None:
            after = self._store.studies.change_study_trial(id, guard, changes)
        else:
            after = self._store.studies.end_study_trial(id, status, to_utc_milliseconds(at), guard, changes)
        if after is None and not self._is_ours(id, changes["write_mark"]):
            return False
        if state.is_finished():
            self._arrivals.pop(trial_id, None)
        elif after is not None:
            self._arrivals[trial_id] = after["arrival"]
        return True

    def _is_ours(self, training_id: str, mark: str) -> bool:
        """Whether the last such write was this one, whose answer was lost and whose repetition was refused."""
        document = self._store.studies.study_trial(training_id)
        return document is not None and document.get("write_mark") == mark

    def _set_attr(self, trial_id: int, kind: str, name: str, value: Any) -> None:
        changes = {f"optuna.{kind}.{key}": text for key, text in to_fields({name: value}).items()}
        if self._study(split_trial_id(trial_id)[0]).is_optunas:
            self._change(trial_id, changes)
            return
        id = self._training_id(trial_id)
        if self._store.studies.change_study_trial(id, {"status": OPEN}, changes) is None:
            self.check_trial_is_updatable(trial_id, self.get_trial(trial_id).state)

    def _change(self, trial_id: int, changes: Mapping[str, Any]) -> None:
        guard = self._guard(trial_id)
        if self._store.studies.change_study_trial(self._training_id(trial_id), guard, changes) is None:
            self._check_open(trial_id)
            raise self._replaced(trial_id)

    def _guard(self, trial_id: int, states: tuple[str, ...] = _OPEN) -> dict[str, tuple[Any, ...]]:
        arrival = self._arrivals.get(trial_id)
        return {"optuna_state": states} | ({} if arrival is None else {"arrival": (arrival,)})

    def _check_open(self, trial_id: int) -> FrozenTrial:
        """A script's trial that has not ended. Raises KeyError, UpdateFinishedTrialError, NotAllowed."""
        trial = self.get_trial(trial_id)
        study = self._study(split_trial_id(trial_id)[0])
        if not study.is_optunas:
            remedy = "The service runs it: wait for its end, or use micontrol cancel."
            training_id = training_id_of(study.job_id, trial.number)
            raise NotAllowed("trial", training_id, "a training of misubmit", "changed by a script", remedy)
        self.check_trial_is_updatable(trial_id, trial.state)
        return trial

    def _replaced(self, trial_id: int) -> KeyError:
        return KeyError(f"The study of trial {trial_id} was deleted, and another one has its name.")

    def _training_id(self, trial_id: int) -> str:
        study_id, number = split_trial_id(trial_id)
        return training_id_of(self._study(study_id).job_id, number)

    def _best_finite(self, study_id: int, direction: Direction) -> int | None:
        """The number of the completed trial with the best finite value; a pruned one may have a better value."""
        job_id = self._study(study_id).job_id
        few = self._store.jobs.best_trials(job_id, direction, _FEW).items
        for row in chain(few, self._store.jobs.iterate_best_trials(job_id, direction, MAX_TRIALS)):
            if row.trial is not None and row.status == TrainingStatus.COMPLETED:
                return row.trial.number
        return None

    def _with_infinite_value(self, study_id: int, value: float) -> int | None:
        job = self._job(study_id)
        number: int | None = (job.get("optuna") or {}).get("infinite", {}).get(_side(value))
        document = None if number is None else self._store.studies.study_trial(training_id_of(job["_id"], number))
        return number if document is not None and document["optuna"].get("values") == [value] else None


def _side(value: float) -> str:
    return "lowest" if value < 0 else "highest"
