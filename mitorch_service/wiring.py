"""The one place that decides which store, artifact store and backends there are, from the settings.

Each is imported when it is built: `miquery` on SQLite loads neither pymongo nor a cloud's SDK.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.backends.base import Backend
from mitorch_service.backends.node import Node
from mitorch_service.errors import MissingExtra
from mitorch_service.settings import AzureMLCluster, ClusterConfig, Settings
from mitorch_service.stores.base import Store

if TYPE_CHECKING:
    from mitorch_service.artifacts.dataset_files import DatasetFiles
    from mitorch_service.backends.optional import DatastoreRegistry, HealthCheck, ModelRegistry


def open_store(settings: Settings) -> Store:
    """Raises StoreUnavailable, StoreError."""
    path = settings.sqlite_path
    if path is not None:
        from mitorch_service.stores.sqlite import SqliteStore

        return SqliteStore(path)
    from mitorch_service.stores.mongo import MongoStore

    return MongoStore(settings.db_uri, settings.db_name)


def open_artifacts(settings: Settings) -> ArtifactStore:
    """The artifact store; nothing is touched until it is used. Raises MissingExtra, SettingsError."""
    folder = settings.storage_folder
    if folder is not None:
        from mitorch_service.artifacts.folder import FolderArtifactStore

        return FolderArtifactStore(folder)
    try:
        from mitorch_service.artifacts.blob.store import BlobArtifactStore
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "azure-storage-blob", "azure") from error
    return BlobArtifactStore(settings.storage_url)


def open_dataset_files(settings: Settings) -> DatasetFiles:
    """The files of data sets, those from URLs kept below the home; nothing is touched until it is used."""
    from mitorch_service.artifacts.dataset_files import DatasetFiles

    return DatasetFiles(settings.home / "cache" / "datasets")


def open_backends(settings: Settings) -> dict[str, Backend]:
    """The backend of each cluster, in the order of the settings."""
    return {cluster.name: _open_backend(cluster, settings) for cluster in settings.clusters}


def _open_backend(cluster: ClusterConfig, settings: Settings) -> Backend:
    if isinstance(cluster, AzureMLCluster) and cluster.sdk == "v2":
        from mitorch_service.backends.azureml.v2.backend import AzureMLV2Backend

        return AzureMLV2Backend(cluster, settings.home, run_environment(settings))
    if isinstance(cluster, AzureMLCluster):
        from mitorch_service.backends.azureml.backend import AzureMLBackend

        return AzureMLBackend(cluster, settings.home, run_environment(settings))
    from mitorch_service.backends.local.backend import LocalBackend

    return LocalBackend(cluster.name, settings.home, cluster.slots, run_environment(settings))


def open_datastores(cluster: AzureMLCluster) -> DatastoreRegistry:
    """The blob containers of the cluster's workspace. Raises MissingExtra."""
    return _azureml("assets").AzureMLAssets(cluster)  # type: ignore[no-any-return]


def open_model_registry(cluster: AzureMLCluster) -> ModelRegistry:
    """The registry of the cluster's workspace. Raises MissingExtra."""
    return _azureml("assets").AzureMLAssets(cluster)  # type: ignore[no-any-return]


def open_self_check(cluster: ClusterConfig) -> HealthCheck | None:
    """What checks a cloud's settings; None for this machine. Raises MissingExtra."""
    if not isinstance(cluster, AzureMLCluster):
        return None
    return _azureml("checks").AzureMLHealthCheck(cluster)  # type: ignore[no-any-return]


def _azureml(module: str) -> Any:
    """A module that loads azureml-core, which takes half a second."""
    try:
        return import_module(f"mitorch_service.backends.azureml.v1.{module}")
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "azureml-core", "azure") from error


def run_environment(settings: Settings) -> dict[str, str]:
    """What a run needs in its environment to find the same database and files; on a cloud's node, without the home."""
    return {
        "MITORCH_HOME": str(settings.home),
        "MITORCH_DB_URI": settings.db_uri,
        "MITORCH_DB_NAME": settings.db_name,
        "MITORCH_STORAGE_URL": settings.storage_url,
    }


def open_node(environ: Mapping[str, str]) -> Node:
    """The machine that this process, a run, is on."""
    from mitorch_service.backends.azureml.v1.node import RUN_VARIABLE, AzureMLNode

    return AzureMLNode(environ) if RUN_VARIABLE in environ else Node()
