"""What midataset datastore does, and azureml:// paths in data set definitions."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from mitorch_service.artifacts.datastore_urls import file_url
from mitorch_service.backends.optional import Datastores
from mitorch_service.errors import BackendError, InvalidInput, MissingExtra, Problem
from mitorch_service.models.dataset import DatasetSplit
from mitorch_service.models.datastore import Datastore, DatastorePath, is_datastore_path
from mitorch_service.models.sas import sas_expiry
from mitorch_service.operations.choose_cluster import choose_cluster
from mitorch_service.settings import Settings, read_settings
from mitorch_service.wiring import open_datastores

_NAME = re.compile(r"[A-Za-z0-9_]{1,255}")
_TERM = timedelta(days=365)  # of tokens that are made of an account's key


def add_datastore(name: str, url: str, sas_variable: str | None, cluster: str | None) -> str:
    """Makes a container known in the workspace; returns what it is. Raises InvalidInput, BackendError."""
    if not _NAME.fullmatch(name):
        raise InvalidInput("NAME", [Problem(name, "must be letters, digits and _")])
    sas = "" if sas_variable is None else os.environ.get(sas_variable, "")
    if sas_variable is not None and not sas:
        raise InvalidInput("--sas-from", [Problem(sas_variable, "is not set: put the SAS token into it")])
    try:
        datastore = Datastore.of_container(name, url, sas)
    except ValueError as error:
        raise InvalidInput("--container", [Problem("", str(error))]) from error
    expiry = sas_expiry(datastore.sas)
    if expiry is not None and expiry <= datetime.now(UTC):
        problem = Problem(sas_variable or "", f"the SAS token expired on {expiry:%Y-%m-%d %H:%M} UTC: make a new one")
        raise InvalidInput("--sas-from", [problem])
    open_datastores(choose_cluster(read_settings(), cluster)).register_datastore(datastore)
    return f"{name}: {datastore.url}"


def workspace_datastores(cluster: str | None) -> list[Datastore]:
    """Those of the workspace, without credentials."""
    return open_datastores(choose_cluster(read_settings(), cluster)).datastores()


class DatastorePaths:
    """Replaces azureml://DATASTORE/PATH by the file's own URL, so that a run needs nothing of the workspace. Each
    datastore is asked for once."""

    def __init__(self, settings: Settings, cluster: str | None) -> None:
        self._settings, self._cluster = settings, cluster
        self._workspaces: dict[object, Datastores] = {}
        self._known: dict[object, Datastore] = {}

    def resolved(self, splits: Mapping[str, DatasetSplit]) -> tuple[dict[str, DatasetSplit], list[Problem]]:
        """The splits with URLs, SAS tokens in them, those left out that have a problem, and the problems."""
        resolved, problems = {}, []
        for name, split in splits.items():
            try:
                support = [self._url(f"{name}.support_files[{i}]", path) for i, path in enumerate(split.support_files)]
                resolved[name] = DatasetSplit(path=self._url(f"{name}.path", split.path), support_files=support)
            except _Unresolved as error:
                problems.append(error.problem)
        return resolved, problems

    def _url(self, field: str, path: str) -> str:
        if not is_datastore_path(path):
            return path
        try:
            place = DatastorePath.parse(path)
            return file_url(self._datastore(place), place.path, datetime.now(UTC) + _TERM)
        except ModuleNotFoundError as error:
            raise MissingExtra(error.name or "azure-storage-blob", "azure") from error
        except (ValueError, BackendError) as error:
            raise _Unresolved(Problem(field, str(error))) from error

    def _datastore(self, place: DatastorePath) -> Datastore:
        key = place.workspace, place.name
        if key not in self._known:
            self._known[key] = self._workspace(place).datastore(place.name)
        return self._known[key]

    def _workspace(self, place: DatastorePath) -> Datastores:
        if place.workspace not in self._workspaces:
            cluster = choose_cluster(self._settings, None if place.workspace else self._cluster, place.workspace)
            self._workspaces[place.workspace] = open_datastores(cluster)
        return self._workspaces[place.workspace]


class _Unresolved(Exception):
    """A split whose datastore cannot be used."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem
