"""Lists, looks up, cancels and reads the runs of an experiment.

The SDK's public API lists by tag and one status at a time. A run's tags are set in a separate call, which may fail, so
that runs are listed by id here, with the SDK's internal client.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mitorch_service.backends.azureml.states import ENDED, LIVE, LOGS, WAITING, nodes_of, run_status, time_of
from mitorch_service.backends.azureml.v1.sdk import ExperimentClient, Run, WorkspaceClient, client_arguments, requests
from mitorch_service.backends.azureml.v1.sdk_errors import status_of
from mitorch_service.backends.base import RunStatus
from mitorch_service.backends.optional import LiveRun

_IDS_A_CALL = 100
_LOOK_UPS = 100  # by name, in one pass
_PARALLEL = 16


class Runs:
    """The runs of an experiment, as the SDK's RunDto. Every method raises the SDK's errors."""

    def __init__(self, experiment: Any) -> None:
        self._experiment = experiment
        context = experiment.workspace.service_context
        self._in_experiment = ExperimentClient(context, experiment.name)
        self._in_workspace = WorkspaceClient(context)

    def find(self, names: Sequence[str]) -> dict[str, Any]:
        """Returns the experiment's runs with these names, in one call per hundred, whatever the length of the history.

        A run created a moment ago may be missing.
        """
        found: dict[str, Any] = {}
        for start in range(0, len(names), _IDS_A_CALL):
            wanted = " or ".join(f"RunId eq {name}" for name in names[start : start + _IDS_A_CALL])
            found |= {run.run_id: run for run in self._list(wanted)}
        return found

    def describe(self, names: Sequence[str]) -> dict[str, RunStatus | None]:
        """Returns statuses as `Backend.describe` does.

        Runs missing from the listing, because they are too new or do not exist, are looked up by name, the first
        hundred of them; the others are left out.
        """
        found = self.find(names)
        missing = [name for name in names if name not in found][:_LOOK_UPS]
        with ThreadPoolExecutor(_PARALLEL, "look-up") as pool:
            found |= zip(missing, pool.map(self.get, missing), strict=True)
        return {name: None if found[name] is None else self._status(found[name]) for name in names if name in found}

    def get(self, name: str) -> Any | None:
        """Returns the run of this name in any experiment of the workspace, or None."""
        try:
            return self._in_workspace.get_run(name)
        except Exception as error:
            if status_of(error) == 404:
                return None
            raise

    def waiting_nodes(self, compute: str) -> int:
        """Returns the number of nodes that the experiment's runs are waiting for on this compute."""
        statuses = " or ".join(f"(Status eq {status})" for status in WAITING)
        runs = self._list(f"((Target eq {compute}) and ({statuses}))")
        return sum(nodes_of({"tags": run.tags}) for run in runs)

    def live(self, compute: str) -> list[LiveRun]:
        """Returns the experiment's runs that wait or run on this compute."""
        statuses = " or ".join(f"(Status eq {status})" for status in LIVE)
        runs = self._list(f"((Target eq {compute}) and ({statuses}))")
        return [
            LiveRun(
                run.run_id,
                nodes_of({"tags": run.tags}),
                time_of(getattr(run, "start_time_utc", None) or getattr(run, "created_utc", None)),
            )
            for run in runs
        ]

    def cancel(self, name: str) -> None:
        """Requests cancellation. The SDK's call may fail although it took effect, so that the run's status decides."""
        run = self.get(name)
        if run is None or run.status in ENDED:
            return
        try:
            self._open(run).cancel()
        except Exception:
            after = self.get(name)
            if after is not None and after.status not in (*ENDED, "CancelRequested"):
                raise

    def log(self, name: str, max_bytes: int) -> bytes:
        """Returns the last `max_bytes` of the output of the run's first process."""
        run = self.get(name)
        if run is None:
            return b""
        urls = self._open(run)._get_common_runtime_logs()
        url = next((urls[log] for log in LOGS if log in urls), None)
        return b"" if url is None else _tail(url, max_bytes)

    def url(self, run: Any) -> str:
        """Returns the address where a person can view the run."""
        return str(self._open(run).get_portal_url())

    def _status(self, run: Any) -> RunStatus:
        error = getattr(run.error, "error", None)
        words = {"code": getattr(error, "code", None), "message": getattr(error, "message", None)}
        times = {"createdUtc": run.created_utc, "startTimeUtc": run.start_time_utc, "endTimeUtc": run.end_time_utc}
        queueing = {"message": getattr(run.queueing_info, "message", None)}
        document = {"status": run.status, "error": {"error": words}, "queueingInfo": queueing, **times}
        return run_status(document, self.url(run))

    def _open(self, run: Any) -> Any:
        return Run._dto_to_run(self._experiment, run, clean_up=False)

    def _list(self, condition: str) -> Iterator[Any]:
        arguments = client_arguments(has_query_params=True, filter=condition, top=500, is_paginated=True)
        client = self._in_experiment
        runs: Iterator[Any] = client._execute_with_experiment_arguments(client._client.run.get_by_query, **arguments)
        return runs


def _tail(url: str, max_bytes: int) -> bytes:
    """Returns the last bytes of a blob; counts from its beginning, because blob storage has no ranges from the end."""
    with requests.Session() as session:
        head = session.head(url)
        head.raise_for_status()
        start = max(0, int(head.headers.get("Content-Length", 0)) - max_bytes)
        answer = session.get(url, headers={"Range": f"bytes={start}-"} if start else {})
        answer.raise_for_status()
    return bytes(answer.content[-max_bytes:])
