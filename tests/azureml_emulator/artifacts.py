"""The artifact service: files of runs, and files that are uploaded for models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.azureml_emulator import blobs
from tests.azureml_emulator.messages import Refusal, Response, reply
from tests.azureml_emulator.router import Call, Routes
from tests.azureml_emulator.state import Azure, Run, Workspace

ROUTES = Routes("api")
_BASE = "/artifact/v2.0{WS}/artifacts"
_CONTAINER = "azureml"


@ROUTES.add("artifact.prefix", "GET", _BASE + "/prefix/contentinfo/{origin}/{container}/{path*}")
def by_prefix(call: Call) -> Response:
    """The files that begin so, with their addresses."""
    names = [name for name in _names(call) if name.startswith(call.path["path"])]
    return reply({"value": [_content_info(call, name) for name in names], "continuationToken": None})


@ROUTES.add("artifact.content_info", "GET", _BASE + "/contentinfo/{origin}/{container}/{path*}")
def content_info(call: Call) -> Response:
    """The address of one file."""
    if call.path["path"] not in _names(call):
        raise Refusal(404, "UserError", f"Artifact {call.path['path']} was not found.")
    return reply(_content_info(call, call.path["path"]))


@ROUTES.add("artifact.create", "POST", _BASE + "/batch/metadata/{origin}/{container}")
def create(call: Call) -> Response:
    """Addresses to upload files to."""
    names = [item["path"] for item in call.request.json()["paths"]]
    return reply(
        {
            "artifacts": {name: _artifact(call, name) for name in names},
            "artifactContentInformation": {name: _content_info(call, name) for name in names},
            "errors": {},
        }
    )


@ROUTES.add("artifact.list", "GET", _BASE + "/{origin}/{container}")
def listing(call: Call) -> Response:
    """All files of a run or an upload."""
    return reply({"value": [_artifact(call, name) for name in _names(call)], "continuationToken": None})


def log_urls(azure: Azure, workspace: Workspace, run: Run) -> dict[str, str]:
    """The addresses of a run's logs by their names."""
    names = [name for name in run_files(azure, run) if name.startswith(("user_logs/", "system_logs/"))]
    return {name: blobs.sas_url(workspace, _CONTAINER, f"ExperimentRun/dcid.{run.id}/{name}") for name in names}


def run_files(azure: Azure, run: Run) -> list[str]:
    """Lists a run's files so far: its logs, and `outputs` and `logs` of its first node's working directory."""
    folder = azure.run_folder(run)
    names = _below(folder, "user_logs") + _below(folder, "system_logs")
    return names + _below(folder / "nodes" / "0", "outputs") + _below(folder / "nodes" / "0", "logs")


def _below(root: Path, folder: str) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in (root / folder).rglob("*") if path.is_file())


def _names(call: Call) -> list[str]:
    """The files of a container: those that were uploaded, and those of the run that it belongs to."""
    workspace, container = call.workspace(), call.path["container"]
    prefix = blobs.key(workspace, _CONTAINER, f"{call.path['origin']}/{container}/")
    uploaded = [name.removeprefix(prefix) for name in call.azure.blobs.names(prefix)]
    run = workspace.runs.get(container.removeprefix("dcid."))
    written = [] if run is None else run_files(call.azure, run)
    return sorted({*uploaded, *written})


def _content_info(call: Call, name: str) -> dict[str, Any]:
    origin, container = call.path["origin"], call.path["container"]
    url = blobs.sas_url(call.workspace(), _CONTAINER, f"{origin}/{container}/{name}")
    return {"contentUri": url, "origin": origin, "container": container, "path": name, "tags": {}}


def _artifact(call: Call, name: str) -> dict[str, Any]:
    origin, container = call.path["origin"], call.path["container"]
    identity = f"{origin}/{container}/{name}"
    return {"artifactId": identity, "origin": origin, "container": container, "path": name, "etag": '"0"'}
