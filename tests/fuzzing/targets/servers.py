"""Replies of CVAT and of Azure ML's services, through the SDKs' own readers, and documents of obdb's database."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bson import json_util

from mitorch_service.errors import DataError, MiTorchError
from mitorch_service.interop.obdb import annotation_database
from mitorch_service.interop.obdb.annotated_frames import annotated_frames, split_every
from tests.fuzzing.target import Target

_NAMES = ("mt-1-a1", "mt-2-a1")


def _object(content: bytes) -> dict[str, Any]:
    """The replies by what was asked for."""
    try:
        found = json_util.loads(content.decode("utf-8", "replace"))
    except Exception as error:
        raise DataError("the fuzzer's own form") from error
    return found if isinstance(found, dict) else {"": found}


class _Collection:
    """Finds documents as the database does: by an equal value, or one in a list."""

    def __init__(self, documents: Any) -> None:
        listed = documents if isinstance(documents, list) else [documents]
        self._documents = [one for one in listed if isinstance(one, dict)]

    def find(self, wanted: dict[str, Any], *_: Any, **__: Any) -> Iterator[dict[str, Any]]:
        for document in self._documents:
            if all(_fits(document.get(key), condition["$in"]) for key, condition in wanted.items()):
                yield document


def _fits(value: Any, among: Sequence[Any]) -> bool:
    return value in among or (isinstance(value, list) and any(one in among for one in value))


def _obdb(content: bytes, folder: Path) -> None:
    there = _object(content)

    @contextmanager
    def opened(*_: Any) -> Iterator[Any]:
        yield SimpleNamespace(name="annotations", get_collection=lambda name: _Collection(there.get(name, [])))

    before, annotation_database._opened = annotation_database._opened, opened  # type: ignore[assignment]
    try:
        _, recordings = annotation_database.read_recordings("mongodb://h", None, ["film"])
    finally:
        annotation_database._opened = before
    images, remarks = annotated_frames(recordings)
    split_every(images, 10)
    for image in images:
        assert isinstance(image.path, str) and image.width > 0 and image.height > 0
        for box in image.boxes:
            assert isinstance(box.class_name, str) and all(map(math.isfinite, (box.left, box.top, box.right)))
    "\n".join([*remarks, *(one.updated for one in recordings)]).encode()


@cache
def _services(kind: type) -> Any:
    """The services of a workspace, whose replies are given."""

    class Replying(kind):  # type: ignore[misc]
        def __init__(self) -> None:
            self._path, self._api = "/w", "https://h"
            self.replies: dict[str, Any] = {}

        def _json(self, method: str, url: str, body: Any = None) -> dict[str, Any]:
            if url.endswith("runs:query"):
                return dict(self.replies.get("query", {"value": []}))
            word = next(one for one in ("/details", "/runs/", "/jobs/", "/computes/", "secrets", "") if one in url)
            return dict(self.replies.get(word.strip("/"), {}))

    return Replying()


def _azure(content: bytes, folder: Path) -> None:
    from mitorch_service.backends.azureml.v2 import compute
    from mitorch_service.backends.azureml.v2.runs import Runs
    from mitorch_service.backends.azureml.v2.sdk_errors import sdk_errors
    from mitorch_service.backends.azureml.v2.services import Services
    from mitorch_service.backends.base import RunStatus
    from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster

    services = _services(Services)
    services.replies = _object(content)
    fields = {"name": "c", "subscription_id": "1" * 8, "workspace": "w", "compute": "gpu"}
    cluster = AzureMLCluster(kind="azureml", **fields)
    with sdk_errors("c"):
        runs = Runs(SimpleNamespace(), services, "e", "/w")  # type: ignore[arg-type]
        statuses = runs.describe(_NAMES)
        live = runs.live("gpu")
        capacity = compute.capacity(services, runs, cluster)
        urls = services.log_urls("mt-1-a1")
        stored = services.secrets(["a"])
    for status in statuses.values():
        assert status is None or isinstance(status, RunStatus)
        assert status is None or status.reason is None or isinstance(status.reason, str)
    assert {*statuses} <= {*_NAMES}
    for run in live:
        assert isinstance(run.name, str) and run.nodes > 0 and isinstance(run.since, datetime | None)
    assert 0 <= capacity.free <= capacity.total
    assert all(isinstance(one, str) for one in (*urls.values(), *stored.values()))


_NODE = {
    **dict.fromkeys(("AZUREML_ARM_SUBSCRIPTION", "AZUREML_ARM_RESOURCEGROUP", "AZUREML_ARM_WORKSPACE_NAME"), "a"),
    **{"AZUREML_SERVICE_ENDPOINT": "https://h", "AZUREML_RUN_ID": "mt-1-a1", "AZUREML_RUN_TOKEN": "t"},
}


def _azure_on_node(content: bytes, folder: Path) -> None:
    from mitorch_service.backends.azureml.run_service import RunService

    def answer(status: int) -> Any:
        return SimpleNamespace(status_code=status, content=content, reason="no", json=lambda: json.loads(content))

    service = RunService(_NODE)
    problems = []
    for status in (200, 400, 500):
        service._client = SimpleNamespace(send_request=lambda _, status=status: answer(status))
        for call in (service.status, service._renewed, lambda: service.secrets(["a"])):
            try:
                found: Any = call()
            except MiTorchError as error:
                problems.append(error)
                continue
            assert isinstance(found, str) or all(isinstance(one, str) for one in (*found, *found.values()))
    if problems:
        raise problems[0]


@cache
def _cvat_server() -> tuple[Any, dict[str, Any]]:
    """A server's calls through CVAT's SDK, and the replies that it is given."""
    import urllib3
    from cvat_sdk.core.client import Client, Config

    from mitorch_service.interop.cvat.server import CvatServer

    client = Client("http://h", config=Config(status_check_period=0), check_server_version=False)
    replies: dict[str, Any] = {}

    def request(method: str, url: str, *_: Any, **__: Any) -> urllib3.HTTPResponse:
        words = ("annotations", "meta", "labels", "jobs", "tasks")
        reply = replies.get(next((one for one in words if one in url.partition("?")[0]), ""), {})
        body = json.dumps(reply, default=str).encode()
        return urllib3.HTTPResponse(body, {"content-type": "application/json"}, 200, preload_content=False)

    client.api_client.rest_client.pool_manager.request = request
    return CvatServer(client, "http://h", lambda _: None), replies


def _cvat(content: bytes, folder: Path) -> None:
    server, replies = _cvat_server()
    replies.clear()
    replies.update(_object(content))
    for name in ("birds", "7"):
        for task in server.find_tasks([name]):
            assert isinstance(task.name, str) and isinstance(task.id, int) and task.revision
            json.dumps(task.to_document())
            frames, labels = server.frames(task), server.labels(task)
            assert all(isinstance(key, str) for key in (*frames, *labels))
            for shape in server.shapes(task):
                assert len(shape.points) == 4 and all(map(math.isfinite, shape.points))


_LABELS = {"url": "http://x/api/labels?task_id=7"}
_SHAPE = {"type": "rectangle", "points": [1.0, 2.0, 5.5, 6.0], "frame": 0, "label_id": 3, "occluded": False}
_TASK = {
    **{"id": 7, "name": "birds", "status": "annotation", "updated_date": "2026-01-01T00:00:00Z", "size": 3},
    **{"jobs": {"count": 1, "completed": 0, "validation": 0, "url": "http://x/api/jobs"}, "labels": _LABELS},
    **{"mode": "annotation", "organization": None, "target_storage": None, "source_storage": None},
}
_JOB = {
    **{"id": 9, "stage": "annotation", "state": "new", "updated_date": "2026-01-01T00:00:00Z", "task_id": 7},
    **{"status": "annotation", "issues": {"count": 0, "url": "http://x"}, "labels": _LABELS, "type": "annotation"},
}
_PAGE = {"count": 1, "next": None, "previous": None}
_CVAT = {
    "tasks": {**_TASK, **_PAGE, "results": [_TASK]},
    "jobs": {**_PAGE, "results": [_JOB]},
    "labels": {**_PAGE, "results": [{"id": 3, "name": "owl", "type": "any", "attributes": []}]},
    "meta": {
        "frames": [{"name": "a.png", "width": 20, "height": 10, "related_files": 0}],
        "deleted_frames": [],
        "size": 1,
        "chunks_updated_date": "2026-01-01T00:00:00Z",
    },
    "annotations": {"version": 1, "tags": [], "shapes": [_SHAPE], "tracks": []},
}
_RUN = {"runId": "mt-1-a1", "status": "Running", "tags": {"nodes": "2"}, "startTimeUtc": "2026-01-01T00:00:00Z"}
_FAILED = {"runId": "mt-2-a1", "status": "Failed", "error": {"error": {"code": "UserError", "message": "preempted"}}}
_AZURE = {
    "query": {"value": [_RUN, _FAILED], "continuationToken": None},
    "runs": _RUN,
    "jobs": {"properties": {"status": "Queued", "tags": {"nodes": "1"}}},
    "details": {"logFiles": {"user_logs/std_log.txt": "https://h/log"}},
    "computes": {
        "properties": {
            "provisioningState": "Succeeded",
            "provisioningErrors": [{"error": {"message": "no quota"}}],
            "properties": {"scaleSettings": {"maxNodeCount": 4}, "nodeStateCounts": {"runningNodeCount": 1}},
        }
    },
    "secrets": {"secrets": [{"name": "a", "value": "b"}]},
}
_ON_NODE = {**_RUN, **_AZURE["secrets"], "token": "a.b.c", "error": {"message": "no"}}  # type: ignore[dict-item]
_DRAWN = {"task_name": "film", "points": [1, 2.5, 5, 6], "frame": 0, "object_class": "Rape", "img_path": "a.png"}
_OBDB = {
    "tasks": [{"name": "film", "updated_date": "2020-05-20T14:57:36Z"}],
    "meta": [{"task_name": "film", "frames": [{"name": "a.png", "width": 64, "height": 48}]}],
    "annotation_data": [{**_DRAWN, "shape_type": "rectangle"}, {**_DRAWN, "shape_types": "mask", "points": [1] * 9}],
}
_WORDS = (b"NaN", b"Infinity", b'{"$numberDouble": "NaN"}', b'{"$oid": "5"}', b'["film"]', b'"film"', b"null")
TARGETS = (
    Target("obdb-documents", _obdb, (json.dumps(_OBDB).encode(),), _WORDS),
    Target("azureml-replies", _azure, (json.dumps(_AZURE).encode(),), _WORDS, heavy=True),
    Target("azureml-node-replies", _azure_on_node, (json.dumps(_ON_NODE).encode(), b"{}"), _WORDS),
    Target("cvat-replies", _cvat, (json.dumps(_CVAT).encode(),), _WORDS, heavy=True),
)
