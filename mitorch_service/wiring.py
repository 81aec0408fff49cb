"""Builds store, artifact store and backends from the settings, and what the operations need of them.

Each is imported when it is built: `miquery` on SQLite loads neither pymongo nor a cloud's SDK.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.backends.base import Backend
from mitorch_service.backends.node import Node
from mitorch_service.backends.run_settings import RunSettings
from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster
from mitorch_service.cluster_settings.cluster_kinds import ClusterConfig
from mitorch_service.cluster_settings.slurm_cluster import SlurmCluster
from mitorch_service.errors import MissingExtra, NoDatabase
from mitorch_service.settings import Settings
from mitorch_service.stores.base import Store

if TYPE_CHECKING:
    from mitorch_service.artifacts.dataset_files import DatasetFiles
    from mitorch_service.backends.azureml.backend import AzureMLBackend
    from mitorch_service.backends.azureml.v1.assets import AzureMLAssets
    from mitorch_service.backends.azureml.v2.assets import AzureMLV2Assets
    from mitorch_service.backends.optional import (
        ComputeCreation,
        DataAssets,
        DatastoreRegistry,
        HealthCheck,
        ModelRegistry,
    )
    from mitorch_service.controller.apply.adoption import Translation
    from mitorch_service.interop.azureml_datasets.asset_reader import AssetReader
    from mitorch_service.interop.vott.service import VottService
    from mitorch_service.models.config.script import CodeRecord
    from mitorch_service.models.search.job import Job
    from mitorch_service.models.training import Training
    from mitorch_service.operations.datasets.dataset_registration import DatasetRegistry
    from mitorch_service.operations.model_registration import ModelRegistration
    from mitorch_service.operations.workspace_storage import WorkspaceStorage
    from mitorch_service.stores.requests import StoredDocument
    from mitorch_service.stores.verbs.trainings import Kind
    from mitorch_service.submission.checks.config_checks import ConfigChecks


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


def open_artifacts(settings: Settings, anew: bool = False) -> ArtifactStore:
    """The artifact store; nothing is touched until it is used. `anew`: what is known of a workspace's storage is asked
    for again. Raises MissingExtra, SettingsError."""
    from mitorch_service.artifacts.folder import FolderArtifactStore

    if (storage := workspace_storage(settings)) is not None:
        from mitorch_service.artifacts.late_store import LateArtifactStore

        def open_late() -> ArtifactStore:
            if anew:
                storage.forget()
            return _open_blobs(storage.url_of_artifacts())

        return LateArtifactStore(open_late, FolderArtifactStore(Path(settings.storage_url), settings.file_access))
    folder = settings.storage_folder
    if folder is not None:
        return FolderArtifactStore(folder, settings.file_access)
    return _open_blobs(settings.storage_url)


def _open_blobs(url: str) -> ArtifactStore:
    try:
        from mitorch_service.artifacts.blob.store import BlobArtifactStore
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "azure-storage-blob", "azure") from error
    return BlobArtifactStore(url)


def workspace_storage(settings: Settings) -> WorkspaceStorage | None:
    """The artifact store that is found through a workspace, which nothing asks yet; None if a setting says where it is,
    or nothing runs in Azure ML."""
    cluster = settings.storage_cluster
    if cluster is None:
        return None
    from mitorch_service.operations.workspace_storage import WorkspaceStorage

    cache = settings.home / "cache" / "workspace_storage.json"
    return WorkspaceStorage(cluster, cache, settings.file_access, open_datastores)


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
    if isinstance(cluster, SlurmCluster):
        from mitorch_service.backends.slurm.backend import SlurmBackend

        hidden, access = settings.secret_variables, settings.file_access
        return SlurmBackend(cluster, settings.home, run_environment(settings), hidden=hidden, access=access)
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


def _open_azureml(cluster: AzureMLCluster, settings: Settings) -> AzureMLBackend:
    from mitorch_service.backends.azureml.code_snapshot import snapshot_folder

    code = partial(snapshot_folder, access=settings.file_access)
    if cluster.sdk == "v2":
        from mitorch_service.backends.azureml.v2.backend import AzureMLV2Backend

        return AzureMLV2Backend(cluster, settings.home, run_environment(settings), code)
    from mitorch_service.backends.azureml.v1.backend import AzureMLV1Backend

    return AzureMLV1Backend(cluster, settings.home, run_environment(settings), code)


def open_compute_creation(cluster: AzureMLCluster, settings: Settings) -> ComputeCreation:
    """The creation of computes in the cluster's workspace."""
    return _open_azureml(cluster, settings)


def open_datastores(cluster: AzureMLCluster) -> DatastoreRegistry:
    """The blob containers of the cluster's workspace. Raises MissingExtra."""
    return _open_assets(cluster)


def open_data_assets(cluster: AzureMLCluster) -> DataAssets:
    """The data sets of the cluster's workspace, by the cluster's SDK. Raises MissingExtra."""
    with _azure_extra(cluster):
        if cluster.sdk == "v2":
            from mitorch_service.backends.azureml.v2.data_assets import AzureMLV2DataAssets

            return AzureMLV2DataAssets(cluster)
        from mitorch_service.backends.azureml.v1.data_assets import AzureMLDataSets

        return AzureMLDataSets(cluster)


def open_asset_reader(cluster: AzureMLCluster) -> AssetReader:
    """The image and label sets of the cluster's workspace. Raises MissingExtra."""
    from mitorch_service.artifacts.datastore_container import DatastoreContainer
    from mitorch_service.interop.azureml_datasets.asset_reader import AssetReader

    datastores = open_datastores(cluster)
    open_files = lru_cache(lambda name: DatastoreContainer(datastores.datastore(name)))
    return AssetReader(open_data_assets(cluster), open_files)


def open_model_registry(cluster: AzureMLCluster) -> ModelRegistry:
    """The model registry of the cluster's workspace. Raises MissingExtra."""
    return _open_assets(cluster)


def _open_assets(cluster: AzureMLCluster) -> AzureMLAssets | AzureMLV2Assets:
    with _azure_extra(cluster):
        if cluster.sdk == "v2":
            from mitorch_service.backends.azureml.v2.assets import AzureMLV2Assets

            return AzureMLV2Assets(cluster)
        from mitorch_service.backends.azureml.v1.assets import AzureMLAssets

        return AzureMLAssets(cluster)


def open_self_check(cluster: ClusterConfig, settings: Settings) -> HealthCheck | None:
    """The checks of a cluster's settings; None for a local cluster. Raises MissingExtra."""
    if isinstance(cluster, SlurmCluster):
        from mitorch_service.backends.slurm.checks import SlurmHealthCheck

        return SlurmHealthCheck(cluster, settings.home)
    if not isinstance(cluster, AzureMLCluster):
        return None
    with _azure_extra(cluster):
        if cluster.sdk == "v2":
            from mitorch_service.backends.azureml.v2.checks import AzureMLV2HealthCheck

            return AzureMLV2HealthCheck(cluster)
        from mitorch_service.backends.azureml.v1.checks import AzureMLHealthCheck

        return AzureMLHealthCheck(cluster)


def open_dataset_registry(settings: Settings, cluster: str | None = None) -> DatasetRegistry:
    """The registration of data sets; `cluster`: its workspace holds the datastores of azureml:// paths. Raises
    StoreUnavailable, StoreError."""
    from mitorch_service.operations.datasets.dataset_registration import DatasetRegistry
    from mitorch_service.operations.datasets.datastores import DatastorePaths

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
    from mitorch_service.submission.checks.config_checks import ConfigChecks

    def keep_code(source: Path) -> CodeRecord:
        from mitorch_service.runs.script import keep_code

        return keep_code.keep_code(source, open_artifacts(settings) if upload else None, storing)

    return ConfigChecks(settings, folder, keep_code)


def open_translation(settings: Settings, store: Store) -> Translation:
    """The translation of documents that other programs insert, which a pass adopts. Nothing is imported before there
    is one."""

    def translate(kind: Kind, found: StoredDocument, now: datetime) -> Training | Job:
        from mitorch_service.interop.mitorch.adoption import translate_document
        from mitorch_service.submission.foreign_submission import build_foreign
        from mitorch_service.submission.lookups import Lookups

        build = partial(build_foreign, Lookups(store, lambda: now), open_config_checks(settings))
        return translate_document(build, kind, found, now)

    return translate


def run_environment(settings: Settings) -> Mapping[str, str]:
    """The environment in which a run finds the same database and files; a cloud's backend leaves out the home. The
    address of a workspace's storage is asked for when it is read."""
    known = {
        "MITORCH_HOME": str(settings.home),
        "MITORCH_DB_URI": settings.db_uri,
        "MITORCH_DB_NAME": settings.db_name,
        "MITORCH_STORAGE_URL": settings.storage_url,
        **({} if settings.shared_group is None else {"MITORCH_SHARED_GROUP": str(settings.shared_group)}),
    }
    storage = workspace_storage(settings)
    return known if storage is None else RunSettings(known, {"MITORCH_STORAGE_URL": storage.url})


def open_node(environ: Mapping[str, str]) -> Node:
    """The machine that this run's process is on."""
    from mitorch_service.backends.azureml.node import RUN_VARIABLE, AzureMLNode

    if RUN_VARIABLE in environ:
        return AzureMLNode(environ)
    from mitorch_service.backends.slurm.supervisor import RUN_VARIABLE as SLURM_RUN
    from mitorch_service.inherited_settings import VARIABLE

    if SLURM_RUN in environ:
        from mitorch_service.backends.slurm.node import SlurmNode

        return SlurmNode(environ)
    if VARIABLE not in environ:
        return Node()
    from mitorch_service.backends.local.node import LocalNode

    return LocalNode(environ)


def open_vott(settings: Settings, environ: Mapping[str, str], tell: Callable[[str], object]) -> VottService:
    """The queue consumer of VoTT-train; `tell` gets a line for each thing that happens. Raises SettingsError,
    QueueNotConfigured, QueueUnavailable, QueueError, MissingExtra, StoreUnavailable, StoreError."""
    from mitorch_service.interop.vott.consumer_settings import read_consumer_settings

    asked = read_consumer_settings(environ, settings.home, settings.storage_url)
    try:
        from mitorch_service.interop.vott.service import VottService
        from mitorch_service.operations.datasets.vott_datasets import register_annotated
        from mitorch_service.submission.vott_trainings import build_training
    except ModuleNotFoundError as error:  # it reads images and annotations
        raise MissingExtra(error.name or "pillow", "train") from error
    registry = open_dataset_registry(settings)
    return VottService.open(
        asked,
        settings,
        registry.store,
        open_artifacts(settings),
        partial(register_annotated, registry),
        partial(build_training, registry.store, open_config_checks(settings)),
        tell,
    )


@contextmanager
def _azure_extra(cluster: AzureMLCluster) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "azure-ai-ml", "azure" if cluster.sdk == "v2" else "azure-v1") from error
