"""Registers an Azure ML workspace's datastores, and replaces azureml:// paths in data set definitions by URLs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from mitorch_service.artifacts.datastore_urls import file_url
from mitorch_service.backends.optional import DatastoreRegistry
from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster
from mitorch_service.errors import BackendError, InvalidInput, MissingExtra, Problem
from mitorch_service.models.blob_storage.datastore import Datastore, DatastorePath, is_datastore_path
from mitorch_service.models.blob_storage.sas import sas_expiry
from mitorch_service.models.dataset import DatasetSplit
from mitorch_service.operations.choose_cluster import Workspace, choose_cluster
from mitorch_service.settings import Settings

OpenDatastores = Callable[[AzureMLCluster], DatastoreRegistry]

_NAME = re.compile(r"[A-Za-z0-9_]{1,255}")
_TERM = timedelta(days=365)  # of tokens that are made from an account's key


def build_datastore(name: str, url: str, sas: str, sas_source: str, now: datetime) -> Datastore:
    """Checks a container's address and its SAS token (empty: identities are used). `sas_source` names where the token
    came from in the error. Raises InvalidInput."""
    if not _NAME.fullmatch(name):
        raise InvalidInput("NAME", [Problem(name, "must be letters, digits and _")])
    try:
        datastore = Datastore.of_container(name, url, sas)
    except ValueError as error:
        raise InvalidInput("--container", [Problem("", str(error))]) from error
    expiry = sas_expiry(datastore.sas)
    if expiry is not None and expiry <= now:
        problem = f"the SAS token expired on {expiry:%Y-%m-%d %H:%M} UTC: make a new one"
        raise InvalidInput("--sas-from", [Problem(sas_source, problem)])
    return datastore


class DatastorePaths:
    """Replaces azureml://DATASTORE/PATH by the file's own URL, so that a run needs nothing from the workspace. Each
    datastore is looked up once."""

    def __init__(self, settings: Settings, cluster: str | None, open_datastores: OpenDatastores) -> None:
        """`cluster`: its workspace holds the datastores of paths that name no workspace."""
        self._settings = settings
        self._cluster = cluster
        self._open_datastores = open_datastores
        self._workspaces: dict[Workspace | None, DatastoreRegistry] = {}
        self._known: dict[tuple[Workspace | None, str], Datastore] = {}

    def resolve(self, splits: Mapping[str, DatasetSplit]) -> tuple[dict[str, DatasetSplit], list[Problem]]:
        """Returns the splits with URLs (with SAS tokens), without those that have a problem, and the problems."""
        resolved: dict[str, DatasetSplit] = {}
        problems: list[Problem] = []
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
            parsed = DatastorePath.parse(path)
            place = f"{parsed.path}/" if path.endswith("/") else parsed.path  # the slash tells a folder
            return file_url(self._datastore(parsed), place, datetime.now(UTC) + _TERM)
        except ModuleNotFoundError as error:
            raise MissingExtra(error.name or "azure-storage-blob", "azure") from error
        except (ValueError, BackendError) as error:
            raise _Unresolved(Problem(field, str(error))) from error

    def _datastore(self, path: DatastorePath) -> Datastore:
        key = path.workspace, path.name
        if key not in self._known:
            self._known[key] = self._workspace(path).datastore(path.name)
        return self._known[key]

    def _workspace(self, path: DatastorePath) -> DatastoreRegistry:
        if path.workspace not in self._workspaces:
            cluster = choose_cluster(self._settings, None if path.workspace else self._cluster, path.workspace)
            self._workspaces[path.workspace] = self._open_datastores(cluster)
        return self._workspaces[path.workspace]


class _Unresolved(Exception):
    """Names the field of a split whose datastore cannot be used."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem
