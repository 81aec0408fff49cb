"""The compute cluster: its free nodes, and its creation if the settings allow it."""

from __future__ import annotations

from typing import Any

from mitorch_service.backends.azureml.states import capacity_of
from mitorch_service.backends.azureml.v2.runs import Runs
from mitorch_service.backends.azureml.v2.sdk import AmlCompute, HttpResponseError, MLClient
from mitorch_service.backends.azureml.v2.sdk_errors import status_of
from mitorch_service.backends.azureml.v2.services import Services
from mitorch_service.backends.base import Capacity
from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster, CreateProfile
from mitorch_service.errors import BackendError, BackendUnavailable

_GROWING = ("Creating", "Updating", "Unknown")


def capacity(services: Services, runs: Runs, cluster: AzureMLCluster) -> Capacity:
    """Returns the maximum number of nodes, and that number less the running, unusable and awaited ones.

    A compute that has yet to be created is empty. Raises BackendError if there is none and it may not be created, or
    if its creation failed.
    """
    compute = _find(services, cluster, cluster.compute)
    if compute is None:
        most = _profile(cluster).max_nodes
        return Capacity(most, most, cluster.gpus)
    nodes = compute["properties"]
    most = int(nodes["scaleSettings"]["maxNodeCount"])
    if compute["provisioningState"] in _GROWING:
        return capacity_of(most, most, cluster.gpus)
    counts = nodes.get("nodeStateCounts") or {}
    busy = sum(int(counts.get(f"{state}NodeCount") or 0) for state in ("running", "unusable"))
    return capacity_of(most, busy + runs.waiting_nodes(cluster.compute), cluster.gpus)


def ensure(client: MLClient, services: Services, cluster: AzureMLCluster, name: str) -> None:
    """Returns if the compute of this name accepts runs; if it is the cluster's and does not exist, starts its creation
    and raises BackendUnavailable.

    Raises BackendError if it may not or cannot be created.
    """
    compute = _find(services, cluster, name)
    if compute is None and name != cluster.compute:
        raise BackendError(cluster.name, f"the workspace has no compute {name!r}", "Submit what needs it again.")
    if compute is None:
        client.compute.begin_create_or_update(_as_wanted(cluster, name, _profile(cluster)))
    elif compute["provisioningState"] not in _GROWING:
        return
    raise BackendUnavailable(cluster.name, f"the compute {name} is being created", "The next pass tries again.")


def create(client: MLClient, services: Services, cluster: AzureMLCluster, name: str, profile: CreateProfile) -> bool:
    """Starts the creation of a compute; returns False if there is one of this name. Raises BackendError if its creation
    has failed before."""
    if _find(services, cluster, name) is not None:
        return False
    client.compute.begin_create_or_update(_as_wanted(cluster, name, profile))
    return True


def _find(services: Services, cluster: AzureMLCluster, name: str) -> dict[str, Any] | None:
    """Returns the compute, or None if it does not exist. Raises BackendError if its creation failed."""
    try:
        compute: dict[str, Any] = services.arm("GET", f"/computes/{name}")["properties"]
    except HttpResponseError as error:
        if status_of(error) != 404:
            raise
        return None
    if compute["provisioningState"] == "Failed":
        problem = f"the compute {name} could not be created: {compute_problem(compute)}"
        raise BackendError(cluster.name, problem, "Delete it in the studio, and check the quota of its VM size.")
    return compute


def compute_problem(compute: dict[str, Any]) -> str:
    """Returns why a compute could not be created."""
    errors = [entry.get("error") or {} for entry in compute.get("provisioningErrors") or []]
    return "; ".join(str(error.get("message")) for error in errors) or "Azure gives no reason"


def _profile(cluster: AzureMLCluster) -> CreateProfile:
    if cluster.create is None:
        remedy = "Create it in the studio, correct `compute`, or allow its creation with `create`."
        raise BackendError(cluster.name, f"the workspace has no compute {cluster.compute!r}", remedy)
    return cluster.create


def _as_wanted(cluster: AzureMLCluster, name: str, profile: CreateProfile) -> AmlCompute:
    return AmlCompute(
        name=name,
        size=profile.vm_size,
        tier="low_priority" if cluster.low_priority else "dedicated",
        min_instances=profile.min_nodes,
        max_instances=profile.max_nodes,
        idle_time_before_scale_down=profile.idle_seconds,
    )
