"""Runs on a compute cluster of Azure Machine Learning, through azure-ai-ml, the second SDK.

What does not depend on the SDK is the first one's: the requests, the states, the code, the vault, and what a run does
on its node. An installation may change from one to the other while trainings run: both know a run by the same name.
"""

from __future__ import annotations

from typing import Any

from mitorch_service.backends.azureml.backend import AzureMLBackend, SdkErrors
from mitorch_service.backends.azureml.request import AzureMLRequest


class AzureMLV2Backend(AzureMLBackend):
    """Exactly-once by the job's name: to create a job that is there changes nothing."""

    _EXTRA = "azure-v2"

    def _make_ready(self, connection: Any, request: AzureMLRequest) -> None:
        super()._make_ready(connection, request)
        connection.make_ready(request, self._code())

    def _errors(self) -> SdkErrors:
        from mitorch_service.backends.azureml.v2.sdk_errors import sdk_errors, status_of

        return sdk_errors, status_of

    def _open(self) -> Any:
        from mitorch_service.backends.azureml.v2.connection import Connection

        return Connection(self._cluster)
