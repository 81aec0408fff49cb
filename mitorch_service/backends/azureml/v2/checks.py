"""The checks of an Azure ML cluster, asked through Azure's resource manager, without azureml-core."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

from mitorch_service.backends.azureml.v2.compute import compute_problem
from mitorch_service.backends.azureml.v2.connection import Connection, sign_in
from mitorch_service.backends.azureml.v2.sdk_errors import status_of, translate
from mitorch_service.backends.azureml.v2.services import SCOPE, Services, Subscriptions
from mitorch_service.backends.azureml.workspace_checks import ComputeFacts, WorkspaceChecks
from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster
from mitorch_service.errors import BackendError


class AzureMLV2HealthCheck(WorkspaceChecks):
    """The checks by the second SDK."""

    _SDK = "v2 (azure-ai-ml)"

    def __init__(self, cluster: AzureMLCluster) -> None:
        super().__init__(cluster)
        self._credential: Any = None
        self._token = ""
        self._connection: Connection | None = None

    def _sign_in(self) -> None:
        self._credential = sign_in(self._cluster)
        self._token = str(self._credential.get_token(SCOPE).token)

    def _subscriptions(self) -> tuple[Mapping[str, str], str]:
        return Subscriptions(self._credential).names(), _tenant_of(self._token)

    def _open_workspace(self) -> str:
        self._connection = Connection(self._cluster)
        return self._connection.location

    def _workspaces(self) -> Iterable[str]:
        cluster = self._cluster
        group = f"/resourceGroups/{cluster.resource_group}" if cluster.resource_group else ""
        return Subscriptions(self._credential).workspaces(f"/subscriptions/{cluster.subscription_id}{group}")

    def _get_compute(self) -> ComputeFacts:
        compute = self._services.arm("GET", f"/computes/{self._cluster.compute}")["properties"]
        nodes = compute["properties"]
        problem = compute_problem(compute) if compute["provisioningState"] == "Failed" else None
        low_priority = str(nodes.get("vmPriority")).lower() == "lowpriority"
        return ComputeFacts(nodes["vmSize"], low_priority, int(nodes["scaleSettings"]["maxNodeCount"]), problem)

    def _computes(self) -> Iterable[str]:
        return [compute["name"] for compute in self._services.arm_list("/computes")]

    def _usages(self) -> Iterable[Mapping[str, Any]]:
        return Subscriptions(self._credential).usages(self._cluster.subscription_id, self._location)

    def _write_and_read(self, name: str, value: str) -> str | None:
        self._services.set_secrets({name: value})
        return self._services.secrets([name]).get(name)

    def _get_environment(self, name: str, version: str | None) -> str:
        if version is None:
            found = self._services.arm("GET", f"/environments/{name}")
            version = str(found["properties"]["latestVersion"])
        self._services.arm("GET", f"/environments/{name}/versions/{version}")
        return f"{name}:{version}"

    def _translate(self, error: Exception) -> BackendError:
        return translate(self._cluster.name, error)

    def _status_of(self, error: Exception) -> int | None:
        return status_of(error)

    @property
    def _services(self) -> Services:
        assert self._connection is not None
        return self._connection.services


def _tenant_of(token: str) -> str:
    """Returns the tenant that a token names, for people."""
    try:
        body = token.split(".")[1]
        return str(json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))["tid"])
    except (IndexError, ValueError, KeyError):
        return "of the identity"
