"""Azure's services as the process of a run reaches them, without an SDK of Azure ML: with the run's own token, and the
key vault with the identity of the compute."""

from __future__ import annotations

import base64
import binascii
import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from azure.core import PipelineClient
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.core.pipeline import policies
from azure.core.rest import HttpRequest

from mitorch_service.backends.azureml.http_errors import answered, not_understood, one_line, unreachable
from mitorch_service.backends.azureml.retry_waits import bound_retry_after
from mitorch_service.backends.azureml.vault import secrets_in
from mitorch_service.errors import BackendError

_WHO = "of this run"  # in messages, where a cluster's name would be
_LIMITS: dict[str, Any] = {
    "connection_timeout": 10.0,
    "read_timeout": 60.0,
    "retry_total": 1,
    "retry_backoff_factor": 0.5,
}
_RENEWED_SECONDS = 600.0  # before the token expires

bound_retry_after(policies.RetryPolicy)


class RunService:
    """The services of the workspace for one run. Every method raises BackendError and BackendUnavailable. Not for
    several threads at a time."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """`environ`: the variables that Azure ML sets in every run."""
        group = f"/subscriptions/{environ['AZUREML_ARM_SUBSCRIPTION']}/resourceGroups/"
        group += f"{environ['AZUREML_ARM_RESOURCEGROUP']}/providers/Microsoft.MachineLearningServices"
        self._path = f"{group}/workspaces/{environ['AZUREML_ARM_WORKSPACE_NAME']}"
        self._api = environ["AZUREML_SERVICE_ENDPOINT"].rstrip("/")
        self._experiment = environ.get("AZUREML_ARM_PROJECT_NAME", "")
        self._run = environ["AZUREML_RUN_ID"]
        self._token = environ["AZUREML_RUN_TOKEN"]
        self._client: Any = PipelineClient(self._api, policies=[policies.RetryPolicy(**_LIMITS)], **_LIMITS)

    def status(self) -> str:
        """Returns Azure's status of the run."""
        found = self._json("GET", f"/history/v1.0{self._path}/runs/{self._run}")
        with _understood():
            return str(found["status"])

    def secrets(self, names: Sequence[str]) -> dict[str, str]:
        """Returns the secrets of the workspace's vault that exist, through the service that stands before it."""
        asked = {"secrets": [{"name": name} for name in names]}
        found = self._json("POST", f"/credential/v2.0{self._path}/secrets:getbatch", asked)
        with _understood():
            return secrets_in(found)

    def log_metrics(self, values: Mapping[str, float], step: int) -> None:
        """Writes metrics of a step, by the protocol of MLflow (mlflow.org/docs/latest/rest-api.html#log-batch)."""
        now = round(time.time() * 1000)
        metrics = [{"key": name, "value": value, "timestamp": now, "step": step} for name, value in values.items()]
        path = f"/mlflow/v1.0{self._path}/api/2.0/mlflow/runs/log-batch"
        self._json("POST", path, {"run_id": self._run, "metrics": metrics})

    def log_table(self, name: str, rows: Sequence[Mapping[str, float | str]]) -> None:
        """Writes a table, as azureml-core's `log_row` does."""
        columns = {key: "String" if isinstance(value, str) else "Double" for key, value in rows[0].items()}
        self._log(name, columns, rows, "azureml.v1.table")

    def log_file(self, name: str, path: str, content: bytes, kind: str) -> None:
        """Uploads a file into the run's artifacts and shows it as a metric: a picture (``azureml.v2.image``), or a
        chart's JSON, such as ``azureml.v2.confusion_matrix``; as azureml-core does."""
        container = f"ExperimentRun/dcid.{self._run}"
        asked = {"paths": [{"path": path}]}
        answer = self._json("POST", f"/artifact/v2.0{self._path}/artifacts/batch/metadata/{container}", asked)
        with _understood():
            address = str(answer["artifactContentInformation"][path]["contentUri"])
        self._upload(address, content)
        self._log(name, {name: "Artifact"}, [{name: f"aml://artifactId/{container}/{path}"}], kind)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Adds tags to the run, or changes them."""
        path = f"/history/v1.0{self._path}/experiments/{self._experiment}/runs/{self._run}"
        self._json("PATCH", path, {"tags": dict(tags)})

    def _log(self, name: str, columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]], kind: str) -> None:
        now = datetime.now(UTC).isoformat()
        value = [{"metricId": str(uuid.uuid4()), "createdUtc": now, "data": dict(row)} for row in rows]
        metric = {"name": name, "columns": dict(columns), "value": value, "properties": {"uxMetricType": kind}}
        self._json("POST", f"/metric/v2.0{self._path}/runs/{self._run}/batch", {"values": [metric]})

    def _upload(self, address: str, content: bytes) -> None:
        """`address` holds a SAS token."""
        headers = {"x-ms-blob-type": "BlockBlob"}
        try:
            response = self._client.send_request(HttpRequest("PUT", address, content=content, headers=headers))
        except AzureError as error:
            raise unreachable(_WHO, error) from None
        if response.status_code >= 400:
            raise answered(_WHO, response.status_code, one_line(str(response.reason)))

    def _json(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        if _expiry(self._token) - time.time() < _RENEWED_SECONDS:
            self._token = self._renewed()
        return self._send(method, path, body)

    def _renewed(self) -> str:
        path = f"/history/v1.0{self._path}/experiments/{self._experiment}/runs/{self._run}/token"
        answer = self._send("GET", path, None)
        with _understood():
            return str(answer["token"])

    def _send(self, method: str, path: str, body: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._token}"}
        try:
            response = self._client.send_request(HttpRequest(method, self._api + path, json=body, headers=headers))
        except AzureError as error:
            raise unreachable(_WHO, error) from None
        if response.status_code >= 400:
            raise answered(_WHO, response.status_code, _words(response))
        with _understood():
            return dict(response.json()) if response.content else {}


@contextmanager
def _understood() -> Iterator[None]:
    """Raises BackendUnavailable for an answer of another form. Its text is not repeated, as it may hold a secret."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise not_understood(_WHO, type(error).__name__) from None


def vault_secrets(vault: str, names: Sequence[str]) -> dict[str, str]:
    """Returns the secrets of a key vault that exist, read with the identity of this machine. Raises BackendError if
    there is no identity or it may not read them, BackendUnavailable if the vault cannot be reached now."""
    from azure.identity import DefaultAzureCredential
    from azure.keyvault.secrets import SecretClient

    remedy = "Give the compute cluster an identity, and that the role Key Vault Secrets User."
    found: dict[str, str] = {}
    try:
        with DefaultAzureCredential() as credential, SecretClient(vault, credential, **_LIMITS) as client:
            for name in names:
                try:
                    found[name] = client.get_secret(name).value or ""
                except ResourceNotFoundError:
                    continue
    except ClientAuthenticationError as error:
        raise BackendError(
            _WHO, f"the key vault {vault} knows no identity of this node ({_first(error)})", remedy
        ) from None
    except HttpResponseError as error:
        if error.status_code == 403:
            raise BackendError(_WHO, f"the node's identity may not read the key vault {vault}", remedy) from None
        raise answered(_WHO, error.status_code or 500, _first(error)) from None
    except AzureError as error:
        raise unreachable(_WHO, error) from None
    return found


def _first(error: Exception) -> str:
    return one_line(str(error).partition("\n")[0])


def _words(response: Any) -> str:
    try:
        return one_line(str(response.json()["error"]["message"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return one_line(str(response.reason))


def _expiry(token: str) -> float:
    """Returns the time of a JSON web token's end, in seconds since 1970; infinity if it cannot be read."""
    try:
        body = token.split(".")[1]
        return float(json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))["exp"])
    except (IndexError, ValueError, KeyError, TypeError, binascii.Error):
        return float("inf")
