"""The compute cluster: its free nodes, and its creation if the settings allow it."""

from __future__ import annotations

from typing import Any

from mitorch_service.backends.azureml.states import capacity_of
from mitorch_service.backends.azureml.v1.runs import Runs
from mitorch_service.backends.azureml.v1.sdk import AmlCompute, ComputeTarget
from mitorch_service.backends.azureml.v1.sdk_errors import status_of
from mitorch_service.backends.base import Capacity
from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster, CreateProfile
from mitorch_service.errors import BackendError, BackendUnavailable

_GROWING = ("Creating", "Updating", "Unknown")


def capacity(workspace: Any, runs: Runs, cluster: AzureMLCluster) -> Capacity:
    """Returns the maximum number of nodes, and that number less the running, unusable and awaited ones.

    A compute that has yet to be created is empty. Raises BackendError if there is none and it may not be created, or
    if its creation failed.
    """
    compute = _find(workspace, cluster, cluster.compute)
    if compute is None:
        most = _profile(cluster).max_nodes
        return Capacity(most, most, cluster.gpus)
    most = int(compute.scale_settings.maximum_node_count)
    if compute.provisioning_state in _GROWING:
        return capacity_of(most, most, cluster.gpus)
    counts = getattr(compute.status, "node_state_counts", None)
    busy = sum((getattr(counts, f"{state}_node_count", 0) or 0) for state in ("running", "unusable"))
    return capacity_of(most, busy + runs.waiting_nodes(cluster.compute), cluster.gpus)


def ensure(workspace: Any, cluster: AzureMLCluster, name: str) -> None:
    """Returns if the compute of this name accepts runs; if it is the cluster's and does not exist, starts its creation
    and raises BackendUnavailable.

    Raises BackendError if it may not or cannot be created.
    """
    compute = _find(workspace, cluster, name)
    if compute is None and name != cluster.compute:
        raise BackendError(cluster.name, f"the workspace has no compute {name!r}", "Submit what needs it again.")
    if compute is None:
        ComputeTarget.create(workspace, name, _provisioning(cluster, _profile(cluster)))
    elif compute.provisioning_state not in _GROWING:
        return
    raise BackendUnavailable(cluster.name, f"the compute {name} is being created", "The next pass tries again.")


def create(workspace: Any, cluster: AzureMLCluster, name: str, profile: CreateProfile) -> bool:
    """Starts the creation of a compute; returns False if there is one of this name. Raises BackendError if its creation
    has failed before."""
    if _find(workspace, cluster, name) is not None:
        return False
    ComputeTarget.create(workspace, name, _provisioning(cluster, profile))
    return True


def _find(workspace: Any, cluster: AzureMLCluster, name: str) -> Any | None:
    """Returns the compute, or None if it does not exist. Raises BackendError if its creation failed."""
    try:
        compute = AmlCompute(workspace, name)
    except Exception as error:
        if status_of(error) != 404:
            raise
        return None
    if compute.provisioning_state == "Failed":
        problem = f"the compute {name} could not be created: {compute.provisioning_errors}"
        raise BackendError(cluster.name, problem, "Delete it in the studio, and check the quota of its VM size.")
    return compute


def _profile(cluster: AzureMLCluster) -> CreateProfile:
    if cluster.create is None:
        remedy = "Create it in the studio, correct `compute`, or allow its creation with `create`."
        raise BackendError(cluster.name, f"the workspace has no compute {cluster.compute!r}", remedy)
    return cluster.create


def _provisioning(cluster: AzureMLCluster, profile: CreateProfile) -> Any:
    return AmlCompute.provisioning_configuration(
        vm_size=profile.vm_size,
        vm_priority="lowpriority" if cluster.low_priority else "dedicated",
        min_nodes=profile.min_nodes,
        max_nodes=profile.max_nodes,
        idle_seconds_before_scaledown=profile.idle_seconds,
    )
