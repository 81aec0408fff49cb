"""Chooses the cluster whose Azure ML workspace a command works on."""

from __future__ import annotations

from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster
from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.settings import Settings
from mitorch_service.wording.suggestion import did_you_mean

Workspace = tuple[str, str, str]  # subscription, resource group, workspace


def choose_cluster(settings: Settings, name: str | None, workspace: Workspace | None = None) -> AzureMLCluster:
    """Returns the cluster of this name; without one the first cluster of `workspace`; without either the first
    cluster, provided that all share one workspace. Raises InvalidInput."""
    clusters = [cluster for cluster in settings.clusters if isinstance(cluster, AzureMLCluster)]
    if not clusters:
        raise _refused("none is of kind azureml: set MITORCH_CLUSTERS, or MITORCH_AML_*")
    if name is not None:
        return _named(clusters, name)
    if workspace is not None:
        clusters = [cluster for cluster in clusters if cluster.is_in(*workspace)]
        if not clusters:
            raise _refused(f"none is in the workspace {workspace[2]}: add one to MITORCH_CLUSTERS")
    if len({_workspace_of(cluster) for cluster in clusters}) > 1:
        names = ", ".join(cluster.name for cluster in clusters)
        raise _refused(f"there are several workspaces: name one of {names}")
    return clusters[0]


def _named(clusters: list[AzureMLCluster], name: str) -> AzureMLCluster:
    found = {cluster.name: cluster for cluster in clusters}
    if name not in found:
        hint = did_you_mean(name, found)
        raise _refused(f"{name!r} is no cluster of kind azureml; {hint}there are: {', '.join(found)}")
    return found[name]


def _workspace_of(cluster: AzureMLCluster) -> Workspace:
    return _lower((cluster.subscription_id, cluster.resource_group or "", cluster.workspace))


def _lower(workspace: Workspace) -> Workspace:
    """Azure compares these names without regard to case."""
    subscription, group, name = workspace
    return subscription.lower(), group.lower(), name.lower()


def _refused(problem: str) -> InvalidInput:
    return InvalidInput("--cluster", [Problem("", problem)])
