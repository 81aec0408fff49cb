"""The runs of an experiment: listed, looked up, canceled, read.

The public part of the SDK lists by tag and one status at a time. A run's tags arrive in a call of their own, which may
fail, so that runs are listed by their ids here, as the SDK itself does it one floor below.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mitorch_service.backends.azureml.states import ENDED, LOGS, WAITING, to_status
from mitorch_service.backends.azureml.v1.sdk import ExperimentClient, Run, WorkspaceClient, client_arguments, requests
from mitorch_service.backends.azureml.v1.sdk_errors import status_of
from mitorch_service.backends.base import RunStatus

_IDS_A_CALL = 100
_LOOK_UPS = 100  # in one pass, by name
_PARALLEL = 16


class Runs:
    """Every method raises what the SDK does. The runs are the SDK's RunDto."""

    def __init__(self, experiment: Any) -> None:
        self._experiment = experiment
        context = experiment.workspace.service_context
        self._in_experiment = ExperimentClient(context, experiment.name)
        self._in_workspace = WorkspaceClient(context)

    def find(self, names: Sequence[str]) -> dict[str, Any]:
        """Those of the experiment that have one of the names: one call for a hundred, however long the history is.
        A run that was created a moment ago may be missing."""
        found: dict[str, Any] = {}
        for start in range(0, len(names), _IDS_A_CALL):
            wanted = " or ".join(f"RunId eq {name}" for name in names[start : start + _IDS_A_CALL])
            found |= {run.run_id: run for run in self._list(wanted)}
        return found

    def describe(self, names: Sequence[str]) -> dict[str, RunStatus | None]:
        """What the listing does not show may be too new for it, or gone, and is looked up by its name. Of very many
        such the last are left out of the answer."""
        found = self.find(names)
        missing = [name for name in names if name not in found][:_LOOK_UPS]
        with ThreadPoolExecutor(_PARALLEL, "look-up") as pool:
            found |= zip(missing, pool.map(self.get, missing), strict=True)
        return {name: None if found[name] is None else _status(found[name]) for name in names if name in found}

    def get(self, name: str) -> Any | None:
        """The run of this name in any experiment of the workspace; None where there is none."""
        try:
            return self._in_workspace.get_run(name)
        except Exception as error:
            if status_of(error) == 404:
                return None
            raise

    def waiting_nodes(self, compute: str) -> int:
        """How many nodes the runs of the experiment wait for that have none yet on this compute."""
        statuses = " or ".join(f"(Status eq {status})" for status in WAITING)
        runs = self._list(f"((Target eq {compute}) and ({statuses}))")
        return sum(_nodes(run) for run in runs)

    def cancel(self, name: str) -> None:
        """Asks the run to end. The SDK's call may fail after it was obeyed: then the run itself is asked."""
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
        """The end of what the run's first process has printed."""
        run = self.get(name)
        if run is None:
            return b""
        urls = self._open(run)._get_common_runtime_logs()
        url = next((urls[log] for log in LOGS if log in urls), None)
        return b"" if url is None else _tail(url, max_bytes)

    def url(self, run: Any) -> str:
        """Where a person can look at it."""
        return str(self._open(run).get_portal_url())

    def _open(self, run: Any) -> Any:
        return Run._dto_to_run(self._experiment, run, clean_up=False)

    def _list(self, condition: str) -> Iterator[Any]:
        arguments = client_arguments(has_query_params=True, filter=condition, top=500, is_paginated=True)
        client = self._in_experiment
        runs: Iterator[Any] = client._execute_with_experiment_arguments(client._client.run.get_by_query, **arguments)
        return runs


def _status(run: Any) -> RunStatus:
    error = getattr(run.error, "error", None)
    return to_status(run.status, getattr(error, "code", None) or "", getattr(error, "message", None) or "")


def _nodes(run: Any) -> int:
    text = (run.tags or {}).get("nodes", "")
    return int(text) if text.isdecimal() else 1


def _tail(url: str, max_bytes: int) -> bytes:
    """The last bytes of a blob; they are counted from its beginning, for blob storage knows no ranges from the end."""
    with requests.Session() as session:
        head = session.head(url)
        head.raise_for_status()
        start = max(0, int(head.headers.get("Content-Length", 0)) - max_bytes)
        answer = session.get(url, headers={"Range": f"bytes={start}-"} if start else {})
        answer.raise_for_status()
    return bytes(answer.content[-max_bytes:])
