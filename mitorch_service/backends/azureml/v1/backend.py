"""Runs trainings on an Azure Machine Learning compute cluster, through azureml-core, the first SDK."""

from __future__ import annotations

from collections.abc import Callable

from mitorch_service.backends.azureml.backend import AzureMLBackend, SdkErrors
from mitorch_service.backends.azureml.workspace_connection import WorkspaceConnection
from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster


class AzureMLV1Backend(AzureMLBackend):
    """Starts each run name once: the service refuses a run id that exists."""

    _EXTRA = "azure-v1"

    def _errors(self) -> SdkErrors:
        from mitorch_service.backends.azureml.v1.sdk_errors import sdk_errors, status_of

        return sdk_errors, status_of

    def _connection_type(self) -> Callable[[AzureMLCluster], WorkspaceConnection]:
        from mitorch_service.backends.azureml.v1.connection import Connection

        return Connection
