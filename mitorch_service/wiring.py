"""The one place that decides which store, artifact store and backends there are, from the settings.

Each is imported when it is built: `miquery` on SQLite loads neither pymongo nor a cloud's SDK.
"""

from __future__ import annotations

from pathlib import Path

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.backends.base import Backend
from mitorch_service.settings import ClusterConfig, Settings
from mitorch_service.stores.base import Store


def open_store(settings: Settings) -> Store:
    """Raises StoreUnavailable, StoreError."""
    path = settings.sqlite_path
    if path is not None:
        from mitorch_service.stores.sqlite import SqliteStore

        return SqliteStore(path)
    from mitorch_service.stores.mongo import MongoStore

    return MongoStore(settings.db_uri, settings.db_name)


def open_artifacts(settings: Settings) -> ArtifactStore:
    """The artifact store; nothing is touched until it is used."""
    from mitorch_service.artifacts.folder import FolderArtifactStore

    return FolderArtifactStore(Path(settings.storage_url))


def open_backends(settings: Settings) -> dict[str, Backend]:
    """The backend of each cluster, in the order of the settings."""
    return {cluster.name: _open_backend(cluster, settings) for cluster in settings.clusters}


def _open_backend(cluster: ClusterConfig, settings: Settings) -> Backend:
    from mitorch_service.backends.local import LocalBackend

    return LocalBackend(cluster.name, settings.home, cluster.slots, run_environment(settings))


def run_environment(settings: Settings) -> dict[str, str]:
    """What a run on this machine needs in its environment to find the same database and files."""
    return {
        "MITORCH_HOME": str(settings.home),
        "MITORCH_DB_URI": settings.db_uri,
        "MITORCH_DB_NAME": settings.db_name,
        "MITORCH_STORAGE_URL": settings.storage_url,
    }
