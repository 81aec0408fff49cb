"""Builds store, artifact store and backends from the settings, and what the operations need of them.

Each is imported when it is built: `miquery` on SQLite loads neither pymongo nor a cloud's SDK.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.backends.base import Backend
from mitorch_service.backends.node import Node
from mitorch_service.errors import MissingExtra, NoDatabase
from mitorch_service.settings import AzureMLCluster, ClusterConfig, Settings
from mitorch_service.stores.base import Store

if TYPE_CHECKING:
    from mitorch_service.artifacts.dataset_files import DatasetFiles
    from mitorch_service.backends.optional import DatastoreRegistry, HealthCheck, ModelRegistry
    from mitorch_service.models.config.script import CodeRecord
    from mitorch_service.operations.dataset_registration import DatasetRegistry
    from mitorch_service.operations.model_registration import ModelRegistration
    from mitorch_service.submission.config_checks import ConfigChecks


def open_store(settings: Settings, create: bool = False) -> Store:
    """Opens the database. Only with `create` a missing file is made, by the first write: else that of the default home
    reads as an empty one, and one that was asked for by name raises NoDatabase. Raises StoreUnavailable, StoreError."""
    path = settings.sqlite_path
    if path is not None:
        from mitorch_service.stores.sqlite.store import SqliteStore

        if create or path.exists():
            return SqliteStore(path, settings.file_access, created_late=True)
        if settings.database_given:
            raise NoDatabase(str(path))
        return SqliteStore(None)
    from mitorch_service.stores.mongo.store import MongoStore

    return MongoStore(settings.db_uri, settings.db_name)


def open_existing_store(settings: Settings) -> Store:
    """Opens the database. Raises NoDatabase if there is none yet, StoreUnavailable, StoreError."""
    path = settings.sqlite_path
    if path is not None and not path.exists():
        raise NoDatabase(str(path))
    return open_store(settings)


def open_artifacts(settings: Settings) -> ArtifactStore:
    """The artifact store; nothing is touched until it is used. Raises MissingExtra, SettingsError."""
    folder = settings.storage_folder
    if folder is not None:
        from mitorch_service.artifacts.folder import FolderArtifactStore

        return FolderArtifactStore(folder, settings.file_access)
    try:
        from mitorch_service.artifacts.blob.store import BlobArtifactStore
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "azure-storage-blob", "azure") from error
    return BlobArtifactStore(settings.storage_url)


def open_dataset_files(settings: Settings) -> DatasetFiles:
    """The files of data sets; downloads are cached below the home. Nothing is touched until it is used."""
    from mitorch_service.artifacts.dataset_files import DatasetFiles

    return DatasetFiles(settings.home / "cache" / "datasets", access=settings.file_access)


def open_backends(settings: Settings) -> dict[str, Backend]:
    """The backend of each cluster, in the order of the settings."""
    return {cluster.name: _open_backend(cluster, settings) for cluster in settings.clusters}


def _open_backend(cluster: ClusterConfig, settings: Settings) -> Backend:
    if isinstance(cluster, AzureMLCluster):
        return _open_azureml(cluster, settings)
    from mitorch_service.backends.local.backend import LocalBackend

    return LocalBackend(
        cluster.name,
        settings.home,
        cluster.slots,
        run_environment(settings),
        max_silence=cluster.max_silence,
        hidden=settings.secret_variables,
        access=settings.file_access,
    )


def _open_azureml(cluster: AzureMLCluster, settings: Settings) -> Backend:
    from mitorch_service.backends.azureml.code_snapshot import snapshot_folder

    code = partial(snapshot_folder, access=settings.file_access)
    if cluster.sdk == "v2":
        from mitorch_service.backends.azureml.v2.backend import AzureMLV2Backend

        return AzureMLV2Backend(cluster, settings.home, run_environment(settings), code)
    from mitorch_service.backends.azureml.backend import AzureMLBackend

    return AzureMLBackend(cluster, settings.home, run_environment(settings), code)


def open_datastores(cluster: AzureMLCluster) -> DatastoreRegistry:
    """The blob containers of the cluster's workspace. Raises MissingExtra."""
    with _azure_extra():
        from mitorch_service.backends.azureml.v1.assets import AzureMLAssets
    return AzureMLAssets(cluster)


def open_model_registry(cluster: AzureMLCluster) -> ModelRegistry:
    """The model registry of the cluster's workspace. Raises MissingExtra."""
    with _azure_extra():
        from mitorch_service.backends.azureml.v1.assets import AzureMLAssets
    return AzureMLAssets(cluster)


def open_self_check(cluster: ClusterConfig) -> HealthCheck | None:
    """The checks of a cloud's settings; None for a local cluster. Raises MissingExtra."""
    if not isinstance(cluster, AzureMLCluster):
        return None
    with _azure_extra():
        from mitorch_service.backends.azureml.v1.checks import AzureMLHealthCheck
    return AzureMLHealthCheck(cluster)


def open_dataset_registry(settings: Settings, cluster: str | None = None) -> DatasetRegistry:
    """The registration of data sets; `cluster`: its workspace holds the datastores of azureml:// paths. Raises
    StoreUnavailable, StoreError."""
    from mitorch_service.operations.dataset_registration import DatasetRegistry
    from mitorch_service.operations.datastores import DatastorePaths

    datastores = DatastorePaths(settings, cluster, open_datastores)
    return DatasetRegistry(open_store(settings, create=True), open_dataset_files(settings), datastores)


def open_model_registration(settings: Settings) -> ModelRegistration:
    """The registration of trained models. Raises StoreUnavailable, StoreError, MissingExtra, SettingsError."""
    from mitorch_service.operations.model_registration import ModelRegistration

    return ModelRegistration(
        settings, open_store(settings), open_artifacts(settings), open_dataset_files(settings), open_model_registry
    )


def open_config_checks(
    settings: Settings,
    folder: Path = Path(),
    upload: bool = True,
    storing: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> ConfigChecks:
    """The checks of a submitted config. `folder`: the paths of scripts are relative to it; with `upload` their code is
    stored as an artifact, within the context `storing`."""
    from mitorch_service.submission.config_checks import ConfigChecks

    def keep_code(source: Path) -> CodeRecord:
        from mitorch_service.runs.script import keep_code

        return keep_code.keep_code(source, open_artifacts(settings) if upload else None, storing)

    return ConfigChecks(settings, folder, keep_code)


def run_environment(settings: Settings) -> dict[str, str]:
    """The environment in which a run finds the same database and files; a cloud's backend leaves out the home."""
    return {
        "MITORCH_HOME": str(settings.home),
        "MITORCH_DB_URI": settings.db_uri,
        "MITORCH_DB_NAME": settings.db_name,
        "MITORCH_STORAGE_URL": settings.storage_url,
        **({} if settings.shared_group is None else {"MITORCH_SHARED_GROUP": str(settings.shared_group)}),
    }


def open_node(environ: Mapping[str, str]) -> Node:
    """The machine that this run's process is on."""
    from mitorch_service.backends.azureml.v1.node import RUN_VARIABLE, AzureMLNode

    if RUN_VARIABLE in environ:
        return AzureMLNode(environ)
    from mitorch_service.inherited_settings import VARIABLE

    if VARIABLE not in environ:
        return Node()
    from mitorch_service.backends.local.node import LocalNode

    return LocalNode(environ)


@contextmanager
def _azure_extra() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "azureml-core", "azure") from error
