"""A CVAT server for tests, as far as cvat-sdk 2.80 really calls one; its requests were recorded from the SDK's own."""

from __future__ import annotations

import io
import json
import re
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from PIL import Image

USER, PASSWORD, TOKEN = "ann", "se:cret-pass", "token-of-ann"
_STAGES = ("Upload-Start", "Upload-Multiple", "Upload-Finish")  # headers of CVAT's way of uploading
_OPERATION = {"type": "export:dataset", "target": "task"}
_NO_STORAGE = {"target_storage": None, "source_storage": None}
_START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Task:
    """A task with its images, the rectangles on them, and their tags."""

    id: int
    name: str
    labels: list[str]
    status: str = "annotation"
    images: dict[str, bytes] = field(default_factory=dict)
    shapes: list[dict[str, Any]] = field(default_factory=list)
    tags: list[dict[str, Any]] = field(default_factory=list)
    deleted: list[int] = field(default_factory=list)
    changes: int = 0

    @property
    def updated(self) -> str:
        return (_START + timedelta(minutes=self.changes)).isoformat()


class CvatStandIn:
    """Its tasks, what it was asked for, and the faults to come."""

    def __init__(self) -> None:
        self.url = ""
        self.tasks: dict[int, Task] = {}
        self.requests: list[str] = []  # method and path of each
        self.faults: list[tuple[str, str]] = []  # the beginning of a request, and what happens to it, each once
        self.slow = 0  # how many times a background request is said to be under way
        self.bad_login = False
        self._asked: dict[str, int] = {}  # how often after each background request
        self._results: dict[str, str] = {}  # where the results of background requests are
        self._next = 1
        self.lock = threading.Lock()

    def add_task(self, name: str, labels: list[str], images: dict[str, bytes], status: str = "annotation") -> Task:
        with self.lock:
            task = Task(self._next, name, labels, status, images)
            self._next += 1
            self.tasks[task.id] = task
            return task

    def draw(self, task: Task, image: str, label: str, *points: float, source: str = "manual") -> None:
        """Draws a rectangle, as a person does."""
        frame, label_id = sorted(task.images).index(image), _label_id(task, label)
        task.shapes.append(
            {"type": "rectangle", "frame": frame, "label_id": label_id, "points": list(points), "source": source}
        )
        task.changes += 1

    def tag(self, task: Task, image: str, label: str) -> None:
        """Gives an image a class, as a person does."""
        frame = sorted(task.images).index(image)
        task.tags.append({"frame": frame, "label_id": _label_id(task, label), "source": "manual"})
        task.changes += 1

    def count(self, beginning: str) -> int:
        """How many requests began so."""
        return sum(request.startswith(beginning) for request in self.requests)

    def background(self, url: str = "") -> dict[str, str]:
        """Starts something that takes a while."""
        name = f"rq-{len(self._results)}"
        self._results[name] = url
        return {"rq_id": name}

    def state(self, name: str) -> dict[str, Any]:
        self._asked[name] = self._asked.get(name, 0) + 1
        done = self._asked[name] > self.slow
        found = {"id": name, "status": "finished" if done else "started", "operation": _OPERATION}
        found |= {"created_date": _START.isoformat(), "message": ""}
        return found | ({"result_url": self._results[name]} if done and self._results[name] else {})

    def export(self, task: Task) -> bytes:
        """CVAT for images 1.1 with the images, as CVAT writes it."""
        buffer = io.BytesIO()
        labels = "".join(f"<label><name>{name}</name><attributes></attributes></label>" for name in task.labels)
        xml = f"<annotations><version>1.1</version><meta><task><labels>{labels}</labels></task></meta>"
        with zipfile.ZipFile(buffer, "w") as archive:
            for number, (name, content) in enumerate(sorted(task.images.items())):
                if number in task.deleted:
                    continue
                with Image.open(io.BytesIO(content)) as image:
                    width, height = image.size
                xml += f'<image id="{number}" name="{name}" width="{width}" height="{height}">'
                for shape in task.shapes:
                    if shape["frame"] == number:
                        corners = " ".join(
                            f'{side}="{value:.2f}"'
                            for side, value in zip(("xtl", "ytl", "xbr", "ybr"), shape["points"], strict=True)
                        )
                        label = task.labels[shape["label_id"] - 100 * task.id]
                        xml += (
                            f'<box label="{label}" source="{shape["source"]}" occluded="0" {corners} z_order="0"></box>'
                        )
                for tag in task.tags:
                    if tag["frame"] == number:
                        label = task.labels[tag["label_id"] - 100 * task.id]
                        xml += f'<tag label="{label}" source="{tag["source"]}"></tag>'
                xml += "</image>"
                archive.writestr(f"images/{name}", content)
            archive.writestr("annotations.xml", f"{xml}</annotations>")
        return buffer.getvalue()


def _label_id(task: Task, label: str) -> int:
    return 100 * task.id + task.labels.index(label)


@contextmanager
def cvat_server() -> Iterator[CvatStandIn]:
    """Runs one on this machine."""
    state = CvatStandIn()

    class Handler(_Handler):
        cvat = state

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    cvat: CvatStandIn
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # head and body in one packet: else each waits for the acknowledgement of the one before

    def log_message(self, *_: object) -> None:
        """Prints nothing."""

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_PATCH(self) -> None:
        self._serve("PATCH")

    def do_DELETE(self) -> None:
        self._serve("DELETE")

    def _serve(self, method: str) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        path, query = parts.path.rstrip("/"), {key: one[0] for key, one in parse_qs(parts.query).items()}
        stage = next(
            (f" {word}" for word in ("Upload-Start", "Upload-Multiple", "Upload-Finish") if word in self.headers), ""
        )
        said = f"{method} {path}{stage}"
        self.cvat.requests.append(said)
        fault = next((one for one in self.cvat.faults if said.startswith(one[0])), None)
        if fault is not None:
            self.cvat.faults.remove(fault)
            if fault[1].isdecimal():
                self._answer(int(fault[1]), {"detail": "a fault"})
                return
            if fault[1] == "cut after":  # it is done, but nobody hears of it
                self._route(method, path, query, body, stage)
            self.close_connection = True
            self.connection.close()
            return
        if not path.startswith(("/api/auth/login", "/api/server")) and not self._is_known():
            self._answer(401, {"detail": "Invalid token."})
            return
        status, found = self._route(method, path, query, body, stage)
        self._answer(status, found)

    def _is_known(self) -> bool:
        given = self.headers.get("Authorization", ""), self.headers.get("Cookie", "")
        return given[0] == f"Bearer {TOKEN}" or "sessionid=s-1" in given[1]

    def _answer(self, status: int, found: Any) -> None:
        content = found if isinstance(found, bytes) else json.dumps(found).encode()
        self.send_response(status)
        if isinstance(found, dict) and found.get("key") == "k-1":
            self.send_header("Set-Cookie", "sessionid=s-1; Path=/")
            self.send_header("Set-Cookie", "csrftoken=c-1; Path=/")
        self.send_header("Content-Type", "application/zip" if isinstance(found, bytes) else "application/json")
        self.send_header("Content-Length", str(len(content)) if status != 204 else "0")
        self.end_headers()
        if status != 204:
            self.wfile.write(content)

    def _route(self, method: str, path: str, query: dict[str, str], body: bytes, stage: str) -> tuple[int, Any]:
        cvat = self.cvat
        if path == "/api/auth/login":
            known = json.loads(body) == {"username": USER, "password": PASSWORD}
            return (200, {"key": "k-1"}) if known else (400, {"non_field_errors": ["Unable to log in."]})
        if path == "/api/auth/logout":
            return 200, {"detail": "out"}
        if path.startswith("/api/requests/"):
            return 200, cvat.state(path.rpartition("/")[2])
        if path.startswith("/download/"):
            return 200, cvat.export(cvat.tasks[int(path.rpartition("/")[2])])
        if path == "/api/tasks" and method == "POST":
            asked = json.loads(body)
            task = cvat.add_task(asked["name"], [label["name"] for label in asked["labels"]], {})
            return 201, _task(task)
        if path == "/api/tasks":
            return 200, _page([_task(one) for one in cvat.tasks.values() if _matches(one, query)])
        if path in {"/api/jobs", "/api/labels"}:
            task = cvat.tasks[int(query["task_id"])]
            return 200, _page([_job(task)] if path == "/api/jobs" else _labels(task))
        found = re.fullmatch(r"/api/tasks/(\d+)(/.*)?", path)
        task = cvat.tasks.get(int(found[1])) if found else None  # type: ignore[assignment]
        if found is None or task is None:
            return 404, {"detail": "Not found."}
        return self._route_task(task, method, found[2] or "", body, stage)

    def _route_task(self, task: Task, method: str, rest: str, body: bytes, stage: str) -> tuple[int, Any]:
        cvat = self.cvat
        if rest == "" and method == "DELETE":
            del cvat.tasks[task.id]
            return 204, {}
        if rest == "":
            return 200, _task(task)
        if rest == "/data/meta":
            return 200, _meta(task)
        if rest == "/annotations" and method == "PATCH":
            asked = json.loads(body)
            for added, there in ((asked.get("shapes"), task.shapes), (asked.get("tags"), task.tags)):
                there += [one | {"source": one.get("source", "manual")} for one in added or ()]
            task.changes += 1
            return 200, _annotations(task)
        if rest == "/annotations":
            return 200, _annotations(task)
        if rest == "/dataset/export":
            return 202, cvat.background(f"{cvat.url}/download/{task.id}")
        if rest == "/data":
            if stage == " Upload-Multiple":
                task.images |= _files(self.headers["Content-Type"], body)
                return 200, {}
            return 202, cvat.background() if stage == " Upload-Finish" else {}
        return 404, {"detail": f"no {method} {rest} here"}


def _matches(task: Task, query: dict[str, str]) -> bool:
    """CVAT's filters take names that contain the text."""
    wanted = json.loads(query.get("filter", "null"))
    if wanted is not None:
        return all(_is(task, one) for one in wanted.get("and", [wanted]))
    by_name = query.get("name", "").lower() in task.name.lower()
    return by_name and query.get("status", task.status) == task.status


def _is(task: Task, condition: dict[str, Any]) -> bool:
    ((_, (variable, value)),) = condition.items()
    return bool(getattr(task, variable["var"]) == value)


def _page(found: list[dict[str, Any]]) -> dict[str, Any]:
    return {"count": len(found), "next": None, "previous": None, "results": found}


def _summary(task: Task) -> dict[str, Any]:
    return {"url": f"http://x/api/labels?task_id={task.id}"}


def _task(task: Task) -> dict[str, Any]:
    jobs = {"count": 1, "completed": 0, "validation": 0, "url": f"http://x/api/jobs?task_id={task.id}"}
    found = {"id": task.id, "name": task.name, "status": task.status, "updated_date": task.updated, "size": 3}
    return found | {"jobs": jobs, "labels": _summary(task), "mode": "annotation", "organization": None, **_NO_STORAGE}


def _job(task: Task) -> dict[str, Any]:
    state = "completed" if task.status == "completed" else "in progress"
    found = {"id": 10 + task.id, "task_id": task.id, "stage": "annotation", "state": state, "status": task.status}
    issues = {"count": 0, "url": "http://x/api/issues"}
    return found | {"updated_date": task.updated, "issues": issues, "labels": _summary(task), "type": "annotation"}


def _labels(task: Task) -> list[dict[str, Any]]:
    return [{"id": _label_id(task, name), "name": name, "type": "any", "attributes": []} for name in task.labels]


def _meta(task: Task) -> dict[str, Any]:
    frames = []
    for name, content in sorted(task.images.items()):
        with Image.open(io.BytesIO(content)) as image:
            frames.append({"name": name, "width": image.width, "height": image.height, "related_files": 0})
    return {"chunks_updated_date": task.updated, "frames": frames, "deleted_frames": task.deleted, "size": len(frames)}


def _annotations(task: Task) -> dict[str, Any]:
    shapes = [shape | {"id": number, "attributes": []} for number, shape in enumerate(task.shapes)]
    tags = [tag | {"id": number, "attributes": []} for number, tag in enumerate(task.tags)]
    return {"version": task.changes, "tags": tags, "tracks": [], "shapes": shapes}


def _files(kind: str, body: bytes) -> dict[str, bytes]:
    """The files of a request in several parts, by their last names."""
    message = BytesParser().parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
    parts = message.get_payload()
    assert isinstance(parts, list)
    found = {}
    for part in parts:
        assert isinstance(part, Message)
        name = part.get_filename()
        content = part.get_payload(decode=True)
        if name and isinstance(content, bytes):
            found[name.rpartition("/")[2]] = content
    return found
