"""Errors with the datastores of a workspace, the same by either SDK."""

from __future__ import annotations

from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster
from mitorch_service.errors import BackendError
from mitorch_service.models.blob_storage.datastore import Datastore
from mitorch_service.models.config.validation import nearest


def unknown_datastore(cluster: AzureMLCluster, name: str, known: list[str]) -> BackendError:
    """Returns the error for a name that the workspace does not have, with the nearest one that it has."""
    near = nearest(name, known)
    hint = f"Did you mean {near!r}? " if near else ""
    existing = f"It has {', '.join(known)}." if known else "It has none for blob containers."
    problem = f"the workspace {cluster.workspace} has no datastore {name!r}"
    return BackendError(cluster.name, problem, f"{hint}{existing} See midataset datastore register.")


def moved_datastore(cluster: AzureMLCluster, existing: Datastore, wanted: Datastore) -> BackendError:
    """Returns the error for a name that is registered for another container."""
    problem = f"the datastore {wanted.name} is {existing.url}, not {wanted.url}"
    return BackendError(cluster.name, problem, "Choose another name.")


def no_default_datastore(cluster: AzureMLCluster) -> BackendError:
    """Returns the error for a workspace whose default datastore is no blob container."""
    problem = f"the default datastore of the workspace {cluster.workspace} is no blob container"
    return BackendError(cluster.name, problem, "Set MITORCH_STORAGE_URL to one.")
