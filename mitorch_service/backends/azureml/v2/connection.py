"""Signing in to Azure and opening a workspace with azure-ai-ml."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mitorch_service.backends.azureml.request import AzureMLRequest
from mitorch_service.backends.azureml.v2 import compute
from mitorch_service.backends.azureml.v2.run_submission import Submission
from mitorch_service.backends.azureml.v2.runs import Runs
from mitorch_service.backends.azureml.v2.sdk import LIMITS, MLClient
from mitorch_service.backends.azureml.v2.services import Services
from mitorch_service.backends.base import Capacity
from mitorch_service.settings import AzureMLCluster

_CLIENT_OF_THE_CLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"  # a public client, for users with a password


class Connection:
    """A signed-in connection to one workspace and one experiment in it. Threads may share it.

    Every method raises BackendError and the SDK's own errors.
    """

    def __init__(self, cluster: AzureMLCluster) -> None:
        """Signs in and opens the workspace."""
        credential = _sign_in(cluster)
        names = (cluster.subscription_id, cluster.resource_group, cluster.workspace)
        client = MLClient(credential, *names, show_progress=False, enable_telemetry=False, **LIMITS)
        workspace = client.workspaces.get(cluster.workspace)
        self._cluster = cluster
        self._client = client
        self._services = Services(credential, workspace.id, workspace.discovery_url)
        self.runs = Runs(client, self._services, cluster.experiment, workspace.id)
        self._submission = Submission(client, self._services, self.runs)

    def make_ready(self, request: AzureMLRequest, folder: Path) -> None:
        """Uploads the code (`folder`) and registers the environment that the request needs."""
        self._submission.make_ready(request, folder)

    def submit(self, request: AzureMLRequest, folder: Path) -> str:
        """Returns the address where a person can view the run. `folder`: the code."""
        return self._submission.submit(request, folder)

    def capacity(self) -> Capacity:
        """Returns the capacity of the compute."""
        return compute.capacity(self._services, self.runs, self._cluster)

    def ensure_compute(self) -> None:
        """Returns if the compute accepts runs."""
        compute.ensure(self._client, self._services, self._cluster)

    def store_secrets(self, secrets: Mapping[str, str]) -> None:
        """Writes the secrets that are missing or differ to the key vault; usually this is one call."""
        stored = self._services.secrets(list(secrets))
        changed = {name: value for name, value in secrets.items() if stored.get(name) != value}
        if changed:
            self._services.set_secrets(changed)


def _sign_in(cluster: AzureMLCluster) -> Any:
    from azure.identity import ClientSecretCredential, DefaultAzureCredential, UsernamePasswordCredential

    credential = cluster.credential()
    tenant = {} if cluster.tenant_id is None else {"tenant_id": cluster.tenant_id}
    if credential is None:
        return DefaultAzureCredential(**tenant)
    password = credential.password.get_secret_value()
    if credential.tenant is not None:
        return ClientSecretCredential(credential.tenant, credential.user, password, **LIMITS)
    return UsernamePasswordCredential(_CLIENT_OF_THE_CLI, credential.user, password, **tenant, **LIMITS)
