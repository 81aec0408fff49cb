"""Runs on a compute cluster of Azure Machine Learning, through azure-ai-ml, the second SDK.

What does not depend on the SDK is the first one's: the requests, the states, the code, the vault, and what a run does
on its node. An installation may change from one to the other while trainings run: both know a run by the same name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from mitorch_service.backends.azureml import AzureMLBackend
from mitorch_service.backends.azureml_request import AzureMLRequest
from mitorch_service.errors import BackendError

Result = TypeVar("Result")


class AzureMLV2Backend(AzureMLBackend):
    """Exactly-once by the job's name: to create a job that is there changes nothing."""

    def _make_ready(self, connection: Any, requests: Sequence[AzureMLRequest]) -> dict[str, str]:
        there = super()._make_ready(connection, requests)
        missing = next((request for request in requests if request.name not in there), None)
        if missing is not None:
            connection.make_ready(missing, self._code())
        return there

    def _ask(self, call: Callable[[Any], Result]) -> Result:
        try:
            from mitorch_service.backends.azureml_v2_errors import sdk_errors, status_of
        except ModuleNotFoundError as error:
            remedy = "pip install 'mitorch-service[azure-v2]'"
            raise BackendError(self._cluster.name, f"the package {error.name} is not installed here", remedy) from error
        with sdk_errors(self._cluster.name):
            connection = self._connect()
            try:
                return call(connection)
            except Exception as error:
                if isinstance(error, BackendError) or status_of(error) != 401:
                    raise
            self._forget(connection)
            return call(self._connect())

    def _connect(self) -> Any:
        from mitorch_service.backends.azureml_v2_connection import Connection

        with self._lock:
            if self._connection is None:
                self._connection = Connection(self._cluster)  # type: ignore[assignment]
            return self._connection
