"""Which cluster's workspace a command means."""

from __future__ import annotations

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.models.validation import nearest
from mitorch_service.settings import AzureMLCluster, Settings

Place = tuple[str, str, str]  # subscription, resource group, workspace


def choose_cluster(settings: Settings, name: str | None, place: Place | None = None) -> AzureMLCluster:
    """The cluster of this name; else one of this workspace; else the one whose workspace all share. Raises
    InvalidInput."""
    clusters = [cluster for cluster in settings.clusters if isinstance(cluster, AzureMLCluster)]
    if not clusters:
        raise _refused("none is of kind azureml: set MITORCH_CLUSTERS, or MITORCH_AML_*")
    if name is not None:
        return _named(clusters, name)
    if place is not None:
        clusters = [cluster for cluster in clusters if place_of(cluster) == _lower(place)]
        if not clusters:
            raise _refused(f"none is in the workspace {place[2]}: add one to MITORCH_CLUSTERS")
    if len({place_of(cluster) for cluster in clusters}) > 1:
        names = ", ".join(cluster.name for cluster in clusters)
        raise _refused(f"there are several workspaces: name one of {names}")
    return clusters[0]


def place_of(cluster: AzureMLCluster) -> Place:
    """Its workspace, comparable."""
    return _lower((cluster.subscription_id, cluster.resource_group, cluster.workspace))


def _named(clusters: list[AzureMLCluster], name: str) -> AzureMLCluster:
    found = {cluster.name: cluster for cluster in clusters}
    if name not in found:
        near = nearest(name, found)
        hint = f"did you mean {near!r}? " if near else ""
        raise _refused(f"{name!r} is no cluster of kind azureml; {hint}there are: {', '.join(found)}")
    return found[name]


def _lower(place: Place) -> Place:
    return place[0].lower(), place[1].lower(), place[2].lower()


def _refused(problem: str) -> InvalidInput:
    return InvalidInput("--cluster", [Problem("", problem)])
