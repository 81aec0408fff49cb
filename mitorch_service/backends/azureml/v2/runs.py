"""Lists, looks up, cancels and reads the runs of an experiment.

The SDK's listing returns all jobs with a tag, whatever the length of the history, without the reason of a failure; here
runs are queried by name in run history.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mitorch_service.backends.azureml.states import ENDED, LIVE, LOGS, WAITING, nodes_of, run_status, time_of
from mitorch_service.backends.azureml.v2.sdk import HttpResponseError, MLClient
from mitorch_service.backends.azureml.v2.sdk_errors import status_of
from mitorch_service.backends.azureml.v2.services import Services
from mitorch_service.backends.base import RunStatus
from mitorch_service.backends.optional import LiveRun

_IDS_A_CALL = 100
_LOOK_UPS = 100  # by name, in one pass
_PARALLEL = 16


class Runs:
    """The runs of an experiment, as documents of run history. Every method raises the SDK's errors."""

    def __init__(self, client: MLClient, services: Services, experiment: str, workspace: str) -> None:
        """`workspace`: its path in Azure."""
        self._client = client
        self._services = services
        self._experiment = experiment
        self._workspace = workspace

    def find(self, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Returns the experiment's runs with these names, in one call per hundred, whatever the length of the history.

        A run created a moment ago may be missing.
        """
        found: dict[str, dict[str, Any]] = {}
        for start in range(0, len(names), _IDS_A_CALL):
            wanted = " or ".join(f"RunId eq {name}" for name in names[start : start + _IDS_A_CALL])
            found |= {run["runId"]: run for run in self._list(wanted) if _is_named(run)}
        return found

    def describe(self, names: Sequence[str]) -> dict[str, RunStatus | None]:
        """Returns statuses as `Backend.describe` does.

        Runs missing from the listing, because they are too new or do not exist, are looked up by name, the first
        hundred of them; the others are left out.
        """
        found: dict[str, dict[str, Any] | None] = {**self.find(names)}
        missing = [name for name in names if name not in found][:_LOOK_UPS]
        with ThreadPoolExecutor(_PARALLEL, "look-up") as pool:
            found |= zip(missing, pool.map(self.get, missing), strict=True)
        return {name: self._status(found[name]) for name in names if name in found}

    def get(self, name: str) -> dict[str, Any] | None:
        """Returns the run of this name in any experiment of the workspace, or None.

        Run history may show a new run late, and be out of order: only what the resource manager does not know either
        does not exist.
        """
        for look_up in (self._services.run, self._services.job):
            try:
                return look_up(name)
            except HttpResponseError as error:
                if status_of(error) != 404:
                    raise
        return None

    def waiting_nodes(self, compute: str) -> int:
        """Returns the number of nodes that the experiment's runs are waiting for on this compute."""
        statuses = " or ".join(f"(Status eq {status})" for status in WAITING)
        runs = self._list(f"((Target eq {compute}) and ({statuses}))")
        return sum(nodes_of(run) for run in runs if _is_named(run))

    def live(self, compute: str) -> list[LiveRun]:
        """Returns the experiment's runs that wait or run on this compute."""
        statuses = " or ".join(f"(Status eq {status})" for status in LIVE)
        runs = self._list(f"((Target eq {compute}) and ({statuses}))")
        return [
            LiveRun(run["runId"], nodes_of(run), time_of(run.get("startTimeUtc") or run.get("createdUtc")))
            for run in runs
            if _is_named(run)
        ]

    def cancel(self, name: str) -> None:
        """Requests cancellation without waiting for it. The call may fail although it took effect, so that the run's
        status decides."""
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
        """Returns the last `max_bytes` of the output of the run's first process."""
        if self.get(name) is None:
            return b""
        urls = self._services.log_urls(name)
        url = next((urls[log] for log in LOGS if log in urls), None)
        return b"" if url is None else self._services.tail(url, max_bytes)

    def url(self, run: dict[str, Any]) -> str:
        """Returns the address where a person can view the run."""
        return f"https://ml.azure.com/runs/{run['runId']}?wsid={self._workspace}"

    def _status(self, run: dict[str, Any] | None) -> RunStatus | None:
        return None if run is None else run_status(run, self.url(run))

    def _list(self, condition: str) -> Iterator[dict[str, Any]]:
        try:
            yield from self._services.runs(self._experiment, condition)
            return
        except HttpResponseError as error:
            if status_of(error) != 404:
                raise
        # The first job would create the experiment. If it exists, the answer is an error: not that there are no runs.
        self._services.create_experiment(self._experiment)
        yield from self._services.runs(self._experiment, condition)


def _is_named(run: object) -> bool:
    """Whether an entry of a listing can be told from others."""
    return isinstance(run, dict) and isinstance(run.get("runId"), str)
