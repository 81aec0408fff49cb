"""The runs of an experiment: listed, looked up, canceled, read.

The SDK's own listing is of all jobs with a tag, however long the history is, and does not say why one has failed: they
are asked for by their names, in run history.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mitorch_service.backends.azureml.states import ENDED, LOGS, WAITING, to_status
from mitorch_service.backends.azureml.v2.sdk import HttpResponseError, MLClient
from mitorch_service.backends.azureml.v2.sdk_errors import status_of
from mitorch_service.backends.azureml.v2.services import Services
from mitorch_service.backends.base import RunStatus

_IDS_A_CALL = 100
_LOOK_UPS = 100  # in one pass, by name
_PARALLEL = 16


class Runs:
    """Every method raises what the SDK does. A run is a document of run history."""

    def __init__(self, client: MLClient, services: Services, experiment: str, workspace: str) -> None:
        """`workspace`: its path in Azure."""
        self._client, self._services = client, services
        self._experiment, self._workspace = experiment, workspace

    def find(self, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Those of the experiment that have one of the names: one call for a hundred, however long the history is.
        A run that was created a moment ago may be missing."""
        found: dict[str, dict[str, Any]] = {}
        for start in range(0, len(names), _IDS_A_CALL):
            wanted = " or ".join(f"RunId eq {name}" for name in names[start : start + _IDS_A_CALL])
            found |= {run["runId"]: run for run in self._list(wanted)}
        return found

    def describe(self, names: Sequence[str]) -> dict[str, RunStatus | None]:
        """What the listing does not show may be too new for it, or gone, and is looked up by its name. Of very many
        such the last are left out of the answer."""
        found: dict[str, dict[str, Any] | None] = {**self.find(names)}
        missing = [name for name in names if name not in found][:_LOOK_UPS]
        with ThreadPoolExecutor(_PARALLEL, "look-up") as pool:
            found |= zip(missing, pool.map(self.get, missing), strict=True)
        return {name: _status(found[name]) for name in names if name in found}

    def get(self, name: str) -> dict[str, Any] | None:
        """The run of this name in any experiment of the workspace; None where there is none."""
        try:
            return self._services.run(name)
        except HttpResponseError as error:
            if status_of(error) == 404:
                return None
            raise

    def waiting_nodes(self, compute: str) -> int:
        """How many nodes the runs of the experiment wait for that have none yet on this compute."""
        statuses = " or ".join(f"(Status eq {status})" for status in WAITING)
        return sum(_nodes(run) for run in self._list(f"((Target eq {compute}) and ({statuses}))"))

    def cancel(self, name: str) -> None:
        """Asks the run to end, and does not wait for it. Whatever the answer was, the run itself says what is true."""
        run = self.get(name)
        if run is None or run["status"] in ENDED:
            return
        try:
            self._client.jobs.begin_cancel(name, polling=False)
        except Exception:
            after = self.get(name)
            if after is not None and after["status"] not in (*ENDED, "CancelRequested"):
                raise

    def log(self, name: str, max_bytes: int) -> bytes:
        """The end of what the run's first process has printed."""
        if self.get(name) is None:
            return b""
        urls = self._services.log_urls(name)
        url = next((urls[log] for log in LOGS if log in urls), None)
        return b"" if url is None else self._services.end_of(url, max_bytes)

    def url(self, run: dict[str, Any]) -> str:
        """Where a person can look at it."""
        return f"https://ml.azure.com/runs/{run['runId']}?wsid={self._workspace}"

    def _list(self, condition: str) -> Iterator[dict[str, Any]]:
        try:
            yield from self._services.runs(self._experiment, condition)
        except HttpResponseError as error:
            if status_of(error) != 404:  # the first job creates the experiment
                raise


def _status(run: dict[str, Any] | None) -> RunStatus | None:
    if run is None:
        return None
    error = (run.get("error") or {}).get("error") or {}
    return to_status(run["status"], error.get("code") or "", error.get("message") or "")


def _nodes(run: dict[str, Any]) -> int:
    text = (run.get("tags") or {}).get("nodes", "")
    return int(text) if text.isdecimal() else 1
