"""Signing in to Azure and opening a workspace with azure-ai-ml."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mitorch_service.backends.azureml.request import AzureMLRequest
from mitorch_service.backends.azureml.resource_group import in_its_group, tenant_of
from mitorch_service.backends.azureml.v2 import compute
from mitorch_service.backends.azureml.v2.run_submission import Submission
from mitorch_service.backends.azureml.v2.runs import Runs
from mitorch_service.backends.azureml.v2.sdk import LIMITS, MLClient
from mitorch_service.backends.azureml.v2.services import Services
from mitorch_service.backends.base import Capacity
from mitorch_service.backends.optional import LiveRun
from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster, CreateProfile

_CLIENT_OF_THE_CLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"  # a public client, for users with a password


class Connection:
    """A signed-in connection to one workspace and one experiment in it. Threads may share it.

    Every method raises BackendError and the SDK's own errors.
    """

    def __init__(self, cluster: AzureMLCluster) -> None:
        """Signs in and opens the workspace."""
        credential = sign_in(cluster)
        client = _open_client(cluster, credential)
        workspace = client.workspaces.get(cluster.workspace)
        self._cluster = cluster
        self._client = client
        self.location = str(workspace.location)
        self.services = Services(credential, workspace.id, workspace.discovery_url)
        self.runs = Runs(client, self.services, cluster.experiment, workspace.id)
        vault = f"https://{workspace.key_vault.rpartition('/')[2]}.vault.azure.net"
        self._submission = Submission(client, self.services, self.runs, vault)

    def make_ready(self, request: AzureMLRequest, folder: Path) -> None:
        """Uploads the code (`folder`) and registers the environment that the request needs."""
        self._submission.make_ready(request, folder)

    def submit(self, request: AzureMLRequest, folder: Path) -> str:
        """Returns the address where a person can view the run. `folder`: the code."""
        return self._submission.submit(request, folder)

    def capacity(self) -> Capacity:
        """Returns the capacity of the compute."""
        return compute.capacity(self.services, self.runs, self._cluster)

    def live_runs(self) -> list[LiveRun]:
        """Returns the experiment's runs on the compute that have not ended."""
        return self.runs.live(self._cluster.compute)

    def ensure_compute(self, name: str) -> None:
        """Returns if the compute of this name accepts runs."""
        compute.ensure(self._client, self.services, self._cluster, name)

    def create_compute(self, name: str, profile: CreateProfile) -> bool:
        """Starts the creation of a compute; returns False if there is one of this name."""
        return compute.create(self._client, self.services, self._cluster, name, profile)

    def store_secrets(self, secrets: Mapping[str, str]) -> None:
        """Writes the secrets that are missing or differ to the key vault; usually this is one call."""
        stored = self.services.secrets(list(secrets))
        changed = {name: value for name, value in secrets.items() if stored.get(name) != value}
        if changed:
            self.services.set_secrets(changed)


def open_client(cluster: AzureMLCluster) -> Any:
    """Signs in and returns the SDK's client of the cluster's workspace; sends nothing to it yet."""
    return _open_client(cluster, sign_in(cluster))


def _open_client(cluster: AzureMLCluster, credential: Any) -> Any:
    located = in_its_group(cluster, lambda: _workspaces(credential, cluster.subscription_id))
    names = (located.subscription_id, located.resource_group, located.workspace)
    return MLClient(credential, *names, show_progress=False, enable_telemetry=False, **LIMITS)


def _workspaces(credential: Any, subscription: str) -> list[str]:
    """The paths in Azure of all workspaces of the subscription."""
    client = MLClient(credential, subscription, show_progress=False, enable_telemetry=False, **LIMITS)
    return [str(found.id) for found in client.workspaces.list(scope="subscription")]


def sign_in(cluster: AzureMLCluster) -> Any:
    """Returns the credential of the cluster's identity; sends nothing yet."""
    from azure.identity import ClientSecretCredential, DefaultAzureCredential, UsernamePasswordCredential

    credential = cluster.credential()
    tenant = {} if cluster.tenant_id is None else {"tenant_id": cluster.tenant_id}
    if credential is None:
        return DefaultAzureCredential(**tenant)
    password = credential.password.get_secret_value()
    if credential.principal:
        of = credential.tenant or cluster.tenant_id or tenant_of(cluster)
        return ClientSecretCredential(of, credential.user, password, **LIMITS)
    return UsernamePasswordCredential(_CLIENT_OF_THE_CLI, credential.user, password, **tenant, **LIMITS)
