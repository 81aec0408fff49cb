"""The checks of an Azure ML cluster, asked through azureml-core."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mitorch_service.backends.azureml.v1.connection import located, sign_in
from mitorch_service.backends.azureml.v1.sdk import AmlCompute, Environment, Workspace
from mitorch_service.backends.azureml.v1.sdk_errors import status_of, translate
from mitorch_service.backends.azureml.workspace_checks import ComputeFacts, WorkspaceChecks
from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster
from mitorch_service.errors import BackendError


class AzureMLHealthCheck(WorkspaceChecks):
    """The checks by the first SDK."""

    _SDK = "v1 (azureml-core), which Microsoft has not supported since 30 June 2026: it works on; set sdk to v2"

    def __init__(self, cluster: AzureMLCluster) -> None:
        super().__init__(cluster)
        self._auth: Any = None
        self._workspace: Any = None

    def _sign_in(self) -> None:
        self._auth = sign_in(self._cluster)
        self._auth.get_authentication_header()

    def _subscriptions(self) -> tuple[Mapping[str, str], str]:
        subscriptions, tenant = self._auth._get_all_subscription_ids()
        return {found.subscription_id: found.subscription_name for found in subscriptions}, tenant

    def _open_workspace(self) -> str:
        cluster = self._cluster = located(self._cluster, self._auth)
        names = (cluster.subscription_id, cluster.resource_group, cluster.workspace)
        self._workspace = Workspace(*names, auth=self._auth)
        return str(self._workspace.location)

    def _workspaces(self) -> Iterable[str]:
        listed: Iterable[str] = Workspace.list(self._cluster.subscription_id, self._auth, self._cluster.resource_group)
        return listed

    def _get_compute(self) -> ComputeFacts:
        compute = AmlCompute(self._workspace, self._cluster.compute)
        low_priority = compute.vm_priority.lower() == "lowpriority"
        problem = str(compute.provisioning_errors) if compute.provisioning_state == "Failed" else None
        return ComputeFacts(compute.vm_size, low_priority, compute.scale_settings.maximum_node_count, problem)

    def _computes(self) -> Iterable[str]:
        return list(self._workspace.compute_targets)

    def _usages(self) -> Iterable[Mapping[str, Any]]:
        found: Iterable[Mapping[str, Any]] = AmlCompute.list_usages(self._workspace)
        return found

    def _write_and_read(self, name: str, value: str) -> str | None:
        vault = self._workspace.get_default_keyvault()
        vault.set_secret(name, value)
        found: str | None = vault.get_secrets([name]).get(name)
        return found

    def _get_environment(self, name: str, version: str | None) -> str:
        found = Environment.get(self._workspace, name, version)
        return f"{found.name}:{found.version}"

    def _translate(self, error: Exception) -> BackendError:
        return translate(self._cluster.name, error)

    def _status_of(self, error: Exception) -> int | None:
        return status_of(error)
