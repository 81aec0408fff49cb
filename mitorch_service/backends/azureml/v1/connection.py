"""Signing in to Azure and opening a workspace with azureml-core."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mitorch_service.backends.azureml.request import AzureMLRequest
from mitorch_service.backends.azureml.v1 import compute as azureml_compute
from mitorch_service.backends.azureml.v1 import run_submission as azureml_submission
from mitorch_service.backends.azureml.v1.runs import Runs
from mitorch_service.backends.azureml.v1.sdk import (
    Experiment,
    ServicePrincipalAuthentication,
    TokenAuthentication,
    Workspace,
)
from mitorch_service.backends.base import Capacity
from mitorch_service.settings import AzureMLCluster

_CLIENT_OF_THE_CLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"  # a public application, for users with a password


class Connection:
    """All that a cluster is asked, through the SDK: one workspace, and one experiment in it. Threads may share it.
    Every method raises what the SDK does, and BackendError."""

    def __init__(self, cluster: AzureMLCluster) -> None:
        """Signs in and asks for the workspace; the experiment is created where there is none."""
        self._cluster = cluster
        self._workspace = open_workspace(cluster)
        self._experiment = Experiment(self._workspace, cluster.experiment)
        self.runs = Runs(self._experiment)

    def submit(self, request: AzureMLRequest, folder: Path) -> str:
        """Returns where a person can look at the run. `folder`: the code."""
        return azureml_submission.submit(self._experiment, self.runs, request, folder)

    def capacity(self) -> Capacity:
        """Of the compute."""
        return azureml_compute.capacity(self._workspace, self.runs, self._cluster)

    def ensure_compute(self) -> None:
        """Returns when the compute takes runs."""
        azureml_compute.ensure(self._workspace, self._cluster)

    def share(self, secrets: Mapping[str, str]) -> None:
        """Writes into the key vault those that are missing or differ; in the usual case this is one call."""
        vault = self._workspace.get_default_keyvault()
        there = vault.get_secrets(list(secrets))
        changed = {name: value for name, value in secrets.items() if there.get(name) != value}
        if changed:
            vault.set_secrets(changed)


def open_workspace(cluster: AzureMLCluster) -> Any:
    """The cluster's workspace, as the SDK has it."""
    names = (cluster.subscription_id, cluster.resource_group, cluster.workspace)
    return Workspace(*names, auth=sign_in(cluster))


def sign_in(cluster: AzureMLCluster) -> Any:
    """Who asks, for the SDK; nothing is asked yet."""
    credential = cluster.credential()
    tenant = None if credential is None else credential.tenant or cluster.tenant_id
    if credential is not None and credential.tenant is not None:
        return ServicePrincipalAuthentication(tenant, credential.user, credential.password.get_secret_value())
    if credential is None:
        from azure.identity import DefaultAzureCredential

        return _tokens_of(DefaultAzureCredential(**_tenant_options(cluster.tenant_id)))
    from azure.identity import UsernamePasswordCredential

    password = credential.password.get_secret_value()
    return _tokens_of(
        UsernamePasswordCredential(_CLIENT_OF_THE_CLI, credential.user, password, **_tenant_options(tenant))
    )


def _tokens_of(credential: Any) -> Any:
    def token(audience: str) -> str:
        return str(credential.get_token(f"{audience.rstrip('/')}/.default").token)

    return TokenAuthentication(token)


def _tenant_options(tenant: str | None) -> dict[str, str]:
    return {} if tenant is None else {"tenant_id": tenant}
