"""Runs and experiments as run history words them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tests.azureml_emulator.messages import error_document
from tests.azureml_emulator.state import Run, Workspace


def experiment_document(name: str, experiment: str) -> dict[str, Any]:
    """An experiment."""
    return {
        "experimentId": experiment,
        "name": name,
        "createdUtc": "2026-01-01T00:00:00Z",
        "tags": {},
        "archivedTime": None,
    }


def run_document(workspace: Workspace, run: Run) -> dict[str, Any]:
    """A run."""
    base = f"{workspace.api}/execution/v1.0{workspace.path}/experiments/{run.experiment}/runId/{run.id}"
    return {
        "runNumber": run.number,
        "rootRunId": run.id,
        "experimentId": workspace.experiments[run.experiment],
        "createdUtc": _time(run.created_at),
        "startTimeUtc": _time(run.started_at),
        "endTimeUtc": _time(run.ended_at),
        "runId": run.id,
        "runUuid": run.id,
        "parentRunId": None,
        "status": run.status,
        "name": run.id,
        "displayName": run.display_name,
        "dataContainerId": f"dcid.{run.id}",
        "description": None,
        "hidden": False,
        "runType": "azureml.scriptrun",
        "properties": run.properties,
        "scriptName": (run.definition.get("Configuration") or {}).get("script"),
        "target": run.target,
        "tags": run.tags,
        "cancelUri": f"{base}/cancel",
        "diagnosticsUri": f"{base}/diagnostics",
        "error": run_error(run),
        "warnings": None,
    }


def details_document(run: Run, logs: dict[str, str]) -> dict[str, Any]:
    """A run with its logs."""
    return {
        "runId": run.id,
        "target": run.target,
        "status": run.status,
        "startTimeUtc": _time(run.started_at),
        "endTimeUtc": _time(run.ended_at),
        "error": run_error(run),
        "properties": run.properties,
        "inputDatasets": [],
        "outputDatasets": [],
        "runDefinition": run.definition.get("Configuration"),
        "logFiles": logs,
    }


def run_error(run: Run) -> dict[str, Any] | None:
    """Why a run failed."""
    if run.error is None:
        return None
    return {**error_document(run.error["code"], run.error["message"]), "time": _time(run.ended_at)}


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
