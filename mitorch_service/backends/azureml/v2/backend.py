"""Runs trainings on an Azure Machine Learning compute cluster, through azure-ai-ml, the second SDK.

Requests, states, code snapshot, key vault and the node's side do not depend on the SDK and are shared with the first.
An installation may switch between the SDKs while trainings run, because both use the same run names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mitorch_service.backends.azureml.backend import AzureMLBackend, SdkErrors
from mitorch_service.backends.azureml.request import AzureMLRequest
from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster


class AzureMLV2Backend(AzureMLBackend):
    """Starts each run name once: creating a job whose name exists changes nothing."""

    _EXTRA = "azure"

    def _make_ready(self, connection: Any, request: AzureMLRequest) -> None:
        super()._make_ready(connection, request)
        connection.make_ready(request, self._code())

    def _errors(self) -> SdkErrors:
        from mitorch_service.backends.azureml.v2.sdk_errors import sdk_errors, status_of

        return sdk_errors, status_of

    def _connection_type(self) -> Callable[[AzureMLCluster], Any]:
        from mitorch_service.backends.azureml.v2.connection import Connection

        return Connection
