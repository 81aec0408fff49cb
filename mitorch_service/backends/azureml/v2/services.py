"""What azure-ai-ml has no call for: run history by many ids, the key vault, a compute's nodes, the end of a log.

They are asked in the services' own JSON, with the SDK's own way of sending requests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mitorch_service.backends.azureml.v2.sdk import LIMITS, HttpRequest, PipelineClient, policies

_ARM = "https://management.azure.com"
_ARM_VERSION = "2024-04-01"
_SCOPE = f"{_ARM}/.default"
_PAGES = 1000  # of a listing, at most


class Services:
    """One workspace's. Every method raises what the SDK does. Threads may share it."""

    def __init__(self, credential: Any, workspace: str, discovery_url: str) -> None:
        """`workspace`: its path in Azure. `discovery_url`: says where its services are."""
        self._path = workspace
        sign = policies.BearerTokenCredentialPolicy(credential, _SCOPE)
        self._signed: Any = PipelineClient(_ARM, policies=[policies.RetryPolicy(**LIMITS), sign], **LIMITS)
        self._open: Any = PipelineClient(_ARM, policies=[policies.RetryPolicy(**LIMITS)], **LIMITS)
        self._api = str(_send(self._open, HttpRequest("GET", discovery_url)).json()["api"]).rstrip("/")

    def runs(self, experiment: str, condition: str) -> Iterator[dict[str, Any]]:
        """The runs of an experiment that fit a filter of run history."""
        url = f"{self._api}/history/v1.0{self._path}/experiments/{experiment}/runs:query"
        query: dict[str, Any] = {"filter": condition, "top": 500}
        for _ in range(_PAGES):
            found = self._json("POST", url, query)
            yield from found["value"]
            query["continuationToken"] = found.get("continuationToken")
            if not query["continuationToken"]:
                return

    def run(self, name: str) -> dict[str, Any]:
        """One run of the workspace."""
        return self._json("GET", f"{self._api}/history/v1.0{self._path}/runs/{name}")

    def log_urls(self, name: str) -> dict[str, str]:
        """The addresses of a run's logs, by their names."""
        details = self._json("GET", f"{self._api}/history/v1.0{self._path}/runs/{name}/details")
        return dict(details.get("logFiles") or {})

    def end_of(self, url: str, max_bytes: int) -> bytes:
        """The last bytes of a blob; they are counted from its beginning, for blob storage knows no ranges from the
        end."""
        head = _send(self._open, HttpRequest("HEAD", url))
        start = max(0, int(head.headers.get("Content-Length", 0)) - max_bytes)
        answer = _send(self._open, HttpRequest("GET", url, headers={"Range": f"bytes={start}-"} if start else {}))
        return bytes(answer.content[-max_bytes:])

    def arm(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """A resource of the workspace, as it is now (GET) or after the call."""
        return self._json(method, f"{_ARM}{self._path}{path}?api-version={_ARM_VERSION}", body)

    def secrets(self, names: list[str]) -> dict[str, str]:
        """Those of the workspace's key vault that are there."""
        found = self._json("POST", self._vault("getbatch"), {"secrets": [{"name": name} for name in names]})
        return {secret["name"]: secret["value"] for secret in found["secrets"]}

    def set_secrets(self, secrets: Mapping[str, str]) -> None:
        """Writes them into the key vault."""
        listed = [{"name": name, "value": value} for name, value in secrets.items()]
        self._json("PUT", self._vault("putbatch"), {"secrets": listed})

    def _vault(self, what: str) -> str:
        return f"{self._api}/credential/v2.0{self._path}/secrets:{what}"

    def _json(self, method: str, url: str, body: Any = None) -> dict[str, Any]:
        return dict(_send(self._signed, HttpRequest(method, url, json=body)).json())


def _send(client: Any, request: Any) -> Any:
    response = client.send_request(request)
    response.raise_for_status()
    return response
