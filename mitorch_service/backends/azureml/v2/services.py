"""REST calls that azure-ai-ml lacks: run history by many ids, the key vault, a compute's nodes, the end of a log.

They use the services' JSON, sent through the SDK's pipeline.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mitorch_service.backends.azureml.v2.sdk import LIMITS, HttpRequest, PipelineClient, policies
from mitorch_service.backends.azureml.vault import secrets_in

_ARM = "https://management.azure.com"
_ARM_VERSION = "2024-04-01"
SCOPE = f"{_ARM}/.default"
_LISTED_VERSION = "2022-12-01"  # of the API for subscriptions
_PAGES = 1000  # per listing, at most


class Subscriptions:
    """The resource manager, before a workspace is known. Every method raises the SDK's errors."""

    def __init__(self, credential: Any) -> None:
        sign = policies.BearerTokenCredentialPolicy(credential, SCOPE)
        self._client: Any = PipelineClient(_ARM, policies=[policies.RetryPolicy(**LIMITS), sign], **LIMITS)

    def names(self) -> dict[str, str]:
        """Returns the names of the subscriptions that the identity sees, by id."""
        found = self._get(f"/subscriptions?api-version={_LISTED_VERSION}")
        return {one["subscriptionId"]: one.get("displayName") or one["subscriptionId"] for one in found["value"]}

    def workspaces(self, group: str) -> list[str]:
        """Returns the names of a resource group's workspaces; `group`: its path."""
        kind = "Microsoft.MachineLearningServices/workspaces"
        found = self._get(f"{group}/providers/{kind}?api-version={_ARM_VERSION}")
        return [one["name"] for one in found["value"]]

    def usages(self, subscription: str, region: str) -> list[dict[str, Any]]:
        """Returns the cores in use and allowed, by family of machines."""
        where = f"providers/Microsoft.MachineLearningServices/locations/{region}/usages"
        found = self._get(f"/subscriptions/{subscription}/{where}?api-version={_ARM_VERSION}")
        return list(found["value"])

    def _get(self, path: str) -> dict[str, Any]:
        return dict(_send(self._client, HttpRequest("GET", _ARM + path)).json())


class Services:
    """The services of one workspace. Every method raises the SDK's errors. Threads may share it."""

    def __init__(self, credential: Any, workspace: str, discovery_url: str) -> None:
        """`workspace`: its path in Azure. `discovery_url`: returns the addresses of its services."""
        self._path = workspace
        sign = policies.BearerTokenCredentialPolicy(credential, SCOPE)
        self._signed: Any = PipelineClient(_ARM, policies=[policies.RetryPolicy(**LIMITS), sign], **LIMITS)
        self._open: Any = PipelineClient(_ARM, policies=[policies.RetryPolicy(**LIMITS)], **LIMITS)
        self._api = str(_send(self._open, HttpRequest("GET", discovery_url)).json()["api"]).rstrip("/")

    def runs(self, experiment: str, condition: str) -> Iterator[dict[str, Any]]:
        """Yields the runs of an experiment that match a filter of run history."""
        url = f"{self._api}/history/v1.0{self._path}/experiments/{experiment}/runs:query"
        query: dict[str, Any] = {"filter": condition, "top": 500}
        for _ in range(_PAGES):
            found = self._json("POST", url, query)
            yield from found["value"]
            query["continuationToken"] = found.get("continuationToken")
            if not query["continuationToken"]:
                return

    def run(self, name: str) -> dict[str, Any]:
        """Returns a run of the workspace."""
        return self._json("GET", f"{self._api}/history/v1.0{self._path}/runs/{name}")

    def job(self, name: str) -> dict[str, Any]:
        """Returns what the resource manager knows of a run, in run history's words; it has no reasons of failures."""
        job = self.arm("GET", f"/jobs/{name}")
        return {"runId": name, "status": job["properties"]["status"], "tags": job["properties"].get("tags")}

    def create_experiment(self, name: str) -> None:
        """Creates an experiment, unless it exists."""
        self._json("POST", f"{self._api}/history/v1.0{self._path}/experiments/{name}")

    def log_urls(self, name: str) -> dict[str, str]:
        """Returns the addresses of a run's logs, by name."""
        details = self._json("GET", f"{self._api}/history/v1.0{self._path}/runs/{name}/details")
        files = dict(details.get("logFiles") or {})
        return {name: url for name, url in files.items() if isinstance(url, str)}

    def tail(self, url: str, max_bytes: int) -> bytes:
        """Returns the last bytes of a blob; counts from its beginning, because blob storage has no ranges from the
        end."""
        head = _send(self._open, HttpRequest("HEAD", url))
        start = max(0, int(head.headers.get("Content-Length", 0)) - max_bytes)
        answer = _send(self._open, HttpRequest("GET", url, headers={"Range": f"bytes={start}-"} if start else {}))
        return bytes(answer.content[-max_bytes:])

    def arm(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Calls the resource manager on a resource of the workspace; returns the resource."""
        return self._json(method, f"{_ARM}{self._path}{path}?api-version={_ARM_VERSION}", body)

    def arm_list(self, path: str) -> Iterator[dict[str, Any]]:
        """Yields all resources of a listing of the workspace."""
        url: str | None = f"{_ARM}{self._path}{path}?api-version={_ARM_VERSION}"
        for _ in range(_PAGES):
            found = self._json("GET", str(url))
            yield from found["value"]
            url = found.get("nextLink")
            if not url:
                return

    def secrets(self, names: list[str]) -> dict[str, str]:
        """Returns the secrets of the workspace's key vault that exist, by name."""
        return secrets_in(self._json("POST", self._vault("getbatch"), {"secrets": [{"name": name} for name in names]}))

    def set_secrets(self, secrets: Mapping[str, str]) -> None:
        """Writes secrets to the key vault."""
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
