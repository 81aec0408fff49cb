"""Signing in to Azure and opening a workspace with azureml-core."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mitorch_service.backends.azureml.request import AzureMLRequest
from mitorch_service.backends.azureml.resource_group import in_its_group, tenant_of
from mitorch_service.backends.azureml.v1 import compute, run_submission
from mitorch_service.backends.azureml.v1.runs import Runs
from mitorch_service.backends.azureml.v1.sdk import (
    Experiment,
    ServicePrincipalAuthentication,
    TokenAuthentication,
    Workspace,
)
from mitorch_service.backends.base import Capacity
from mitorch_service.backends.optional import LiveRun
from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster, CreateProfile

_TYPE = "Microsoft.MachineLearningServices/workspaces"
_CLIENT_OF_THE_CLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"  # a public client, for users with a password


class Connection:
    """A signed-in connection to one workspace and one experiment in it. Threads may share it.

    Every method raises BackendError and the SDK's own errors.
    """

    def __init__(self, cluster: AzureMLCluster) -> None:
        """Signs in and opens the workspace; creates the experiment if it does not exist."""
        self._cluster = cluster
        self._workspace = open_workspace(cluster)
        self._experiment = Experiment(self._workspace, cluster.experiment)
        self.runs = Runs(self._experiment)

    def submit(self, request: AzureMLRequest, folder: Path) -> str | None:
        """Returns the address where a person can view the run, if it is known. `folder`: the code."""
        ours = request.experiment == self._cluster.experiment
        experiment = self._experiment if ours else Experiment(self._workspace, request.experiment)
        return run_submission.submit(experiment, self.runs, request, folder)

    def capacity(self) -> Capacity:
        """Returns the capacity of the compute."""
        return compute.capacity(self._workspace, self.runs, self._cluster)

    def live_runs(self) -> list[LiveRun]:
        """Returns the experiment's runs on the compute that have not ended."""
        return self.runs.live(self._cluster.compute)

    def ensure_compute(self, name: str) -> None:
        """Returns if the compute of this name accepts runs."""
        compute.ensure(self._workspace, self._cluster, name)

    def create_compute(self, name: str, profile: CreateProfile) -> bool:
        """Starts the creation of a compute; returns False if there is one of this name."""
        return compute.create(self._workspace, self._cluster, name, profile)

    def store_secrets(self, secrets: Mapping[str, str]) -> None:
        """Writes the secrets that are missing or differ to the key vault; usually this is one call."""
        vault = self._workspace.get_default_keyvault()
        stored = vault.get_secrets(list(secrets))
        changed = {name: value for name, value in secrets.items() if stored.get(name) != value}
        if changed:
            vault.set_secrets(changed)


def open_workspace(cluster: AzureMLCluster) -> Any:
    """Opens the cluster's workspace; returns the SDK's object."""
    auth = sign_in(cluster)
    group = located(cluster, auth).resource_group
    return Workspace(cluster.subscription_id, group, cluster.workspace, auth=auth)


def located(cluster: AzureMLCluster, auth: Any) -> AzureMLCluster:
    """Returns the cluster with the resource group of its workspace."""

    def paths() -> list[str]:
        listed = Workspace.list(cluster.subscription_id, auth)
        group = f"/subscriptions/{cluster.subscription_id}/resourceGroups/{{}}/providers/{_TYPE}/{{}}"
        return [group.format(found.resource_group, found.name) for same in listed.values() for found in same]

    return in_its_group(cluster, paths)


def sign_in(cluster: AzureMLCluster) -> Any:
    """Returns the SDK's authentication object for the cluster's identity; sends nothing yet."""
    credential = cluster.credential()
    tenant = None if credential is None else credential.tenant or cluster.tenant_id
    if credential is not None and credential.principal:
        password = credential.password.get_secret_value()
        return ServicePrincipalAuthentication(tenant or tenant_of(cluster), credential.user, password)
    if credential is None:
        from azure.identity import DefaultAzureCredential

        return _token_authentication(DefaultAzureCredential(**_tenant_options(cluster.tenant_id)))
    from azure.identity import UsernamePasswordCredential

    password = credential.password.get_secret_value()
    return _token_authentication(
        UsernamePasswordCredential(_CLIENT_OF_THE_CLI, credential.user, password, **_tenant_options(tenant))
    )


def _token_authentication(credential: Any) -> Any:
    def token(audience: str) -> str:
        return str(credential.get_token(f"{audience.rstrip('/')}/.default").token)

    return TokenAuthentication(token)


def _tenant_options(tenant: str | None) -> dict[str, str]:
    return {} if tenant is None else {"tenant_id": tenant}
