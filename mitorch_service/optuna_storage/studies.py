"""Stores Optuna's studies as jobs: the part of the storage without trials."""

from __future__ import annotations

import os
import uuid
import weakref
from abc import ABC
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from optuna.exceptions import DuplicatedStudyError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from pydantic import ValidationError

from mitorch_service.errors import NotAllowed
from mitorch_service.models.search.job import SearchConfig
from mitorch_service.optuna_storage.documents import new_study
from mitorch_service.optuna_storage.fields import from_fields, to_fields
from mitorch_service.optuna_storage.ids import job_id_of, prefix_of, study_id_of
from mitorch_service.optuna_storage.study import KnownStudy, is_optunas
from mitorch_service.settings import read_settings
from mitorch_service.stores.base import Store

_METRIC_NAMES = "study:metric_names"  # where Optuna stores the argument of study.set_metric_names


class StudyStorage(BaseStorage, ABC):
    """Implements the part of Optuna's contract that concerns studies."""

    def __init__(self, store: Store | str | None = None, now: Callable[[], datetime] | None = None) -> None:
        """`store`, or an address as in MITORCH_DB_URI; None: the database of the settings. Only a storage that opens
        its store itself can be pickled."""
        self._opened = not isinstance(store, Store)
        self._url = None if isinstance(store, Store) else store
        self._store = store if isinstance(store, Store) else open_store(store)
        self._close = weakref.finalize(self, self._store.close) if self._opened else None
        self._given_clock = now
        self._now = now or self._store.now  # the database's clock orders the times of several machines
        self._known: dict[int, KnownStudy] = {}
        # by trial id, of the open trials created here: distinguishes their study from a later one of the same name
        self._arrivals: dict[int, int] = {}

    def __getstate__(self) -> dict[str, Any]:
        if not self._opened:
            raise TypeError("A MiTorchStorage of an open store cannot be pickled: give it the database's URL instead.")
        return {"store": self._url, "now": self._given_clock}

    def __setstate__(self, state: dict[str, Any]) -> None:
        StudyStorage.__init__(self, **state)

    def close(self) -> None:
        """Closes the store, unless it was passed in. The garbage collector does it as well."""
        if self._close is not None:
            self._close()

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        name = f"no-name-{uuid.uuid4()}" if study_name is None else study_name
        job, fields = new_study(name, directions, self._now())
        self._store.prepare()
        study_id = study_id_of(job.id)
        found = self._store.studies.study_job(prefix_of(study_id))
        if found is None and not self._store.studies.add_study(job, fields):
            found = self._store.studies.study_job(prefix_of(study_id))
        if found is not None and found.get("write_mark") != fields["write_mark"]:  # not ours, whose answer was lost
            raise DuplicatedStudyError(f"There is a study {name!r} already: load it, or choose another name.")
        return study_id

    def delete_study(self, study_id: int) -> None:
        job = self._optuna_job(study_id, "deleted", "Use micontrol delete.")
        self._known.pop(study_id, None)
        self._store.studies.remove_study(job["_id"], job["arrival"])

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        self._set_study_attr(study_id, "user_attrs", key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        self._set_study_attr(study_id, "system_attrs", key, value)

    def get_study_id_from_name(self, study_name: str) -> int:
        for job_id in (job_id_of(study_name), study_name):
            with suppress(ValueError):  # a name that is no GUID
                study_id = study_id_of(job_id)
                job = self._store.studies.study_job(prefix_of(study_id))
                if job is not None and _name(job) == study_name:
                    return study_id
        raise KeyError(f"There is no study {study_name!r}.")

    def get_study_name_from_id(self, study_id: int) -> str:
        return _name(self._job(study_id))

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        return _directions(self._job(study_id))

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        return _user_attrs(self._job(study_id))

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return _system_attrs(self._job(study_id))

    def get_all_studies(self) -> list[FrozenStudy]:
        studies = []
        for job in self._store.studies.study_jobs():
            with suppress(ValueError, ValidationError):  # documents written by hand: miquery reports them
                study = FrozenStudy(
                    study_name=_name(job),
                    direction=None,
                    directions=_directions(job),
                    user_attrs=_user_attrs(job),
                    system_attrs=_system_attrs(job),
                    study_id=study_id_of(job["_id"]),
                )
                studies.append(study)
        return sorted(studies, key=lambda study: study._study_id)

    def _job(self, study_id: int) -> dict[str, Any]:
        """Reads the job of a study. Raises KeyError."""
        job = self._store.studies.study_job(prefix_of(study_id))
        if job is None:
            self._known.pop(study_id, None)
            raise KeyError(f"There is no study {study_id}.")
        known = self._known.get(study_id)
        if known is None or known.arrival != job["arrival"]:
            self._known[study_id] = KnownStudy(self._store, job)
        return job

    def _optuna_job(self, study_id: int, action: str, remedy: str) -> dict[str, Any]:
        """The job of a script's study. Raises KeyError; NotAllowed if the service runs it."""
        job = self._job(study_id)
        if not is_optunas(job):
            raise NotAllowed("study", job["_id"], "a job of misubmit", action, remedy)
        return job

    def _study(self, study_id: int) -> KnownStudy:
        """The cached study, which may have been deleted since. Raises KeyError."""
        if study_id not in self._known:
            self._job(study_id)
        return self._known[study_id]

    def _set_study_attr(self, study_id: int, kind: str, name: str, value: Any) -> None:
        job = self._job(study_id)
        changes = {f"optuna.{kind}.{key}": text for key, text in to_fields({name: value}).items()}
        if not self._store.studies.change_study(job["_id"], {"arrival": (job["arrival"],)}, changes):
            raise KeyError(f"The study {study_id} was deleted.")


def open_store(url: str | None) -> Store:
    """Opens the store at `url`, or the one of the settings. Raises SettingsError, StoreUnavailable, StoreError."""
    from mitorch_service import wiring

    settings = read_settings(None if url is None else {**os.environ, "MITORCH_DB_URI": url})
    return wiring.open_store(settings, create=True)


def _name(job: Mapping[str, Any]) -> str:
    name: str = job["name"] if is_optunas(job) else job["_id"]
    return name


def _directions(job: Mapping[str, Any]) -> list[StudyDirection]:
    if is_optunas(job):
        return [StudyDirection[name.upper()] for name in job["optuna"]["directions"]]
    return [StudyDirection[name.upper()] for name in SearchConfig.model_validate(job["search"]).directions()]


def _user_attrs(job: Mapping[str, Any]) -> dict[str, Any]:
    attributes = from_fields((job.get("optuna") or {}).get("user_attrs"))
    if is_optunas(job):
        return attributes
    facts = {"name": job.get("name"), "status": job["status"], "objective": job["search"].get("objective", "val_loss")}
    return {**facts, **attributes}


def _system_attrs(job: Mapping[str, Any]) -> dict[str, Any]:
    attributes = from_fields((job.get("optuna") or {}).get("system_attrs"))
    objective = job["search"].get("objective")
    return (
        {_METRIC_NAMES: objective, **attributes} if isinstance(objective, list) and not is_optunas(job) else attributes
    )
