"""Code snapshots (content service): what is uploaded once and unpacked for every run."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from tests.azureml_emulator import blobs
from tests.azureml_emulator.messages import Refusal, Response, reply
from tests.azureml_emulator.router import Call, Routes
from tests.azureml_emulator.state import Azure, Workspace

ROUTES = Routes("api")
_CONTAINER = "snapshots"


@ROUTES.add("snapshot.latest", "GET", "/content/v1.0{WS}/snapshots/latest/metadata")
def latest(call: Call) -> Response:
    """None of ours: the client then uploads everything."""
    call.workspace()
    return reply({"id": str(uuid.UUID(int=0)), "root": {}})


@ROUTES.add("snapshot.getblob", "POST", "/content/v2.0{WS}/snapshots/getblob")
def getblob(call: Call) -> Response:
    """Returns an address to upload each file to."""
    workspace, folder = call.workspace(), uuid.uuid4()
    names = call.request.json()["FileNames"]
    nodes = [{"fullName": n, "blobUri": blobs.sas_url(workspace, _CONTAINER, f"{folder}/{_clean(n)}")} for n in names]
    return reply({"fileNodes": nodes})


@ROUTES.add("snapshot.create", "POST", "/content/v2.0{WS}/snapshots/{snapshot}")
def create(call: Call) -> Response:
    """A snapshot of what was uploaded for it, and of what its parent has, as far as the tree names it."""
    workspace, asked = call.workspace(), call.request.json()
    files = dict(workspace.snapshots.get(asked.get("ParentSnapshotId") or "", {}))
    for node in (asked.get("FileRevisionList") or {}).get("FileNodes") or []:
        files[_clean(node["FullName"])] = blobs.name_of(node["BlobUri"])
    named = list(_paths(asked["DirTreeNode"], PurePosixPath()))
    missing = [path for path in named if path not in files or call.azure.blobs.get(files[path]) is None]
    if missing:
        raise Refusal(400, "UserError", f"The snapshot names files that were never uploaded: {', '.join(missing)}.")
    with call.azure.changed:
        workspace.snapshots[call.path["snapshot"]] = {path: files[path] for path in named}
    return reply({"id": call.path["snapshot"], "root": asked["DirTreeNode"]})


def unpack(azure: Azure, workspace: Workspace, snapshot: str | None, folder: Path) -> None:
    """Writes a snapshot's files. Raises Refusal where the snapshot is unknown."""
    folder.mkdir(parents=True, exist_ok=True)
    if snapshot is None:
        return
    if snapshot not in workspace.snapshots:
        raise Refusal(400, "UserError", f"Snapshot {snapshot} was not found.")
    for path, name in workspace.snapshots[snapshot].items():
        blob = azure.blobs.get(name)
        assert blob is not None, f"{name} was there when the snapshot was created"
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(blob.path.read_bytes())


def _paths(node: dict[str, Any], folder: PurePosixPath) -> Iterator[str]:
    """The paths of the files below a directory node."""
    for name, child in (node.get("children") or {}).items():
        if child["type"] == "File":
            yield str(folder / name)
        else:
            yield from _paths(child, folder / name)


def _clean(path: str) -> str:
    return str(PurePosixPath(path.replace("\\", "/").lstrip("/")))
