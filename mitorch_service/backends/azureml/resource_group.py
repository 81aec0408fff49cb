"""Finds the resource group of a workspace, and the tenant of a subscription, where the settings do not name them."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable

from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster
from mitorch_service.errors import BackendError
from mitorch_service.wording.suggestion import did_you_mean

_ARM = "https://management.azure.com"
_SECONDS = 10.0


def in_its_group(cluster: AzureMLCluster, listing: Callable[[], Iterable[str]]) -> AzureMLCluster:
    """Returns the cluster with the resource group of its workspace. `listing`: the paths in Azure of all workspaces of
    the subscription, asked for only if the group is not known. Raises BackendError if none or several have the
    name."""
    if cluster.resource_group is not None:
        return cluster
    found = [(parts[4], parts[8]) for path in listing() if len(parts := path.split("/")) > 8]
    groups = sorted({group for group, name in found if name.lower() == cluster.workspace.lower()})
    if len(groups) == 1:
        return cluster.model_copy(update={"resource_group": groups[0]})
    if groups:
        problem = f"workspaces called {cluster.workspace} are in the resource groups {', '.join(groups)}"
        raise BackendError(cluster.name, problem, "Set MITORCH_AML_RESOURCE_GROUP (resource_group) to one of them.")
    names = sorted({name for _, name in found})
    hint = did_you_mean(cluster.workspace, names)
    there = f"{hint}there are: {', '.join(names)}" if names else "the identity sees none there"
    problem = f"no workspace of the subscription {cluster.subscription_id} is called {cluster.workspace!r}; {there}"
    raise BackendError(cluster.name, problem, "Correct MITORCH_AML_WORKSPACE (workspace), or give the identity a role.")


def tenant_of(cluster: AzureMLCluster) -> str:
    """Returns the tenant of the cluster's subscription, which Azure names to whoever asks without a token. Raises
    BackendError if it does not."""
    url = f"{_ARM}/subscriptions/{cluster.subscription_id}?api-version=2022-12-01"
    try:
        with urllib.request.urlopen(url, timeout=_SECONDS) as answer:  # noqa: S310 - always https
            challenge = answer.headers.get("WWW-Authenticate", "")
    except urllib.error.HTTPError as error:
        challenge = error.headers.get("WWW-Authenticate", "")
    except OSError as error:
        raise _no_tenant(cluster, f"Azure cannot be asked ({error})") from error
    named = re.search(r'authorization_uri="https://[^/"]+/([0-9A-Za-z.-]+)"', challenge)
    if named is None:
        raise _no_tenant(cluster, f"Azure does not say to which one the subscription {cluster.subscription_id} belongs")
    return named[1]


def _no_tenant(cluster: AzureMLCluster, problem: str) -> BackendError:
    remedy = "Set MITORCH_AML_TENANT_ID (tenant_id), or write TENANT:ID:PASSWORD."
    return BackendError(cluster.name, f"the service principal's tenant is not known: {problem}", remedy)
