"""The cluster for COMPUTE_NAME."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster
from mitorch_service.cluster_settings.cluster_kinds import ClusterConfig
from mitorch_service.errors import Problem
from mitorch_service.interop.exp_config.exp_config_file import ExpConfig
from mitorch_service.interop.exp_config.training_configs import Place
from mitorch_service.interop.exp_config.workspace_file import WorkspaceFile

VM_SIZE = "Standard_NC4as_T4_v3"  # one T4 each; Azure has retired the NC6 of the original
_KEY = "COMPUTE_NAME"


@dataclass(frozen=True)
class ChosenPlace:
    """The place, the cluster in whose workspace it is (None: not on Azure ML), and whether the compute may have to be
    created."""

    place: Place
    azure: AzureMLCluster | None = None
    may_create: bool = False


def choose_place(
    settings: ExpConfig,
    workspace: WorkspaceFile | None,
    clusters: Sequence[ClusterConfig],
    local_data: bool,
    clusters_given: bool = True,
) -> tuple[ChosenPlace | None, list[Problem]]:
    """Returns the cluster whose name or compute is COMPUTE_NAME; else another compute in the workspace that
    ENV_CONFIG_FILE names. Without any cluster on Azure ML, what has its data here runs wherever there is room. Returns
    None with all problems, one of which has the line that names the workspace's cluster. `clusters_given`: whether a
    setting names clusters already."""
    name = settings.COMPUTE_NAME
    azure = [one for one in clusters if isinstance(one, AzureMLCluster)]
    there = [one for one in azure if workspace is None or _same(one, workspace)]
    for one in there:
        if name in (one.name, one.compute):
            return ChosenPlace(Place(one.name), one, one.create is None), []
    if any(one.name == name for one in clusters if one not in azure):
        return ChosenPlace(Place(name)), []
    if there and len({_workspace(one.subscription_id, one.workspace) for one in there}) == 1:
        return ChosenPlace(Place(there[0].name, name), there[0], may_create=True), []
    if there:
        return None, [Problem("ENV_CONFIG_FILE", "is needed: the clusters are in several workspaces")]
    if not azure and local_data:
        return ChosenPlace(Place()), []
    return None, [Problem(_KEY, _absent(settings, workspace, clusters_given))]


def _absent(settings: ExpConfig, workspace: WorkspaceFile | None, set_already: bool) -> str:
    if workspace is None:
        return "no cluster is called so, and no ENV_CONFIG_FILE names a workspace: set MITORCH_CLUSTERS"
    entry = {
        "name": settings.COMPUTE_NAME,
        "kind": "azureml",
        "subscription_id": workspace.subscription_id,
        "resource_group": workspace.resource_group,
        "workspace": workspace.workspace,
        **({} if workspace.tenant_id is None else {"tenant_id": workspace.tenant_id}),
        "create": {"vm_size": VM_SIZE, "max_nodes": settings.NODES},
    }
    missing = f"no cluster is in the workspace {workspace.workspace}"
    if set_already:
        return f"{missing}: add to MITORCH_CLUSTERS {json.dumps(entry)}"
    line = f"export MITORCH_CLUSTERS={shlex.quote(json.dumps([entry]))}"
    return f"{missing}: run this line, here and where micontrol runs, and misubmit again: {line}"


def _same(cluster: AzureMLCluster, workspace: WorkspaceFile) -> bool:
    return cluster.is_in(workspace.subscription_id, workspace.resource_group, workspace.workspace)


def _workspace(subscription: str, name: str) -> tuple[str, str]:
    """Azure compares these names without regard to case."""
    return subscription.lower(), name.lower()
