"""The other side of VoTT-train's messages, on this machine: a web server with annotations, images, containers and
status addresses, and a queue."""

from __future__ import annotations

import hashlib
import io
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

from mitorch_service.interop.vott.queues.base import HeldMessage, LeaseLost, MessageQueue


@dataclass
class Host:
    """Files to serve by path, and the requests that came."""

    port: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)  # of paths that are refused
    headers: dict[str, str] = field(default_factory=dict)
    drips: set[str] = field(default_factory=set)  # paths with an answer without end, a byte at a time
    gets: Counter[str] = field(default_factory=Counter)  # with a content
    checks: Counter[str] = field(default_factory=Counter)  # answered by 304
    posts: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    puts: dict[str, list[tuple[bytes, dict[str, str]]]] = field(default_factory=dict)
    over: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}"

    def add_image(self, name: str, color: int = 0, size: tuple[int, int] = (64, 48)) -> str:
        """An image of one colour; returns its address."""
        self.files[f"/{name}"] = picture(color, size)
        return self.url(name)

    def add(self, name: str, text: str) -> str:
        """A text file; returns its address."""
        self.files[f"/{name}"] = text.encode()
        return self.url(name)


def picture(color: int, size: tuple[int, int] = (64, 48)) -> bytes:
    """A PNG of one colour."""
    file = io.BytesIO()
    Image.new("RGB", size, (color % 256, color // 256, 40)).save(file, "PNG")
    return file.getvalue()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, host: Host) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.host = host

    def handle_error(self, request: object, address: object) -> None:
        pass  # a client that went away


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        content = self.server.host.files.get(path)
        if path in self.server.host.redirects:
            return self._answer(302, b"", {"Location": self.server.host.redirects[path]})
        if content is None or path in self.server.host.statuses:
            return self._answer(self.server.host.statuses.get(path, 404), b"no")
        tag = f'"{hashlib.md5(content).hexdigest()}"'
        if self.headers.get("If-None-Match") == tag:
            self.server.host.checks[path] += 1
            return self._answer(304, b"")
        self.server.host.gets[path] += 1
        if path in self.server.host.drips:
            self.send_response(200)
            self.end_headers()
            while not self.server.host.over.wait(0.02):
                self.wfile.write(b".")
            return None
        return self._answer(200, content, {"ETag": tag})

    def do_POST(self) -> None:
        body = self._body()
        path = self.path.partition("?")[0]
        if path in self.server.host.drips:
            self.server.host.over.wait(20)
            return
        if path not in self.server.host.statuses:
            self.server.host.posts.setdefault(path, []).append(json.loads(body))
        self._answer(self.server.host.statuses.get(path, 200), b"")

    def do_PUT(self) -> None:
        body = self._body()
        path = self.path.partition("?")[0]
        if path not in self.server.host.statuses:
            names = {name.lower(): value for name, value in self.headers.items()}
            self.server.host.puts.setdefault(path, []).append((body, names))
        self._answer(self.server.host.statuses.get(path, 201), b"")

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"]))

    def _answer(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**self.server.host.headers, **(headers or {})}.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def hosting() -> Iterator[Host]:
    """A server that runs."""
    host = Host()
    with _Server(host) as server:
        host.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield host
        finally:
            host.over.set()
            server.shutdown()
            thread.join()


@dataclass
class Letter:
    """A message in the queue."""

    id: str
    body: bytes
    deliveries: int = 0
    held: int = 0  # the receipt that holds it; 0: nobody


class QueueInMemory(MessageQueue):
    """A queue whose leases end when a test says so."""

    name = "memory/training"
    aside = "training-poison"

    def __init__(self) -> None:
        self.letters: dict[str, Letter] = {}
        self.rejected: list[tuple[str, str]] = []  # id and reason
        self.delays: list[float] = []
        self.renewals = 0
        self._receipts = 0

    def send(self, body: bytes | dict[str, Any], id: str = "m1") -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.letters[id] = Letter(id, content)

    def end_leases(self) -> None:
        """Every message may be taken again."""
        for letter in self.letters.values():
            letter.held = 0

    def receive(self) -> list[HeldMessage]:
        for letter in self.letters.values():
            if not letter.held:
                self._receipts += 1
                letter.held, letter.deliveries = self._receipts, letter.deliveries + 1
                return [_Held(self, letter)]
        return []

    def close(self) -> None:
        pass


class _Held(HeldMessage):
    def __init__(self, queue: QueueInMemory, letter: Letter) -> None:
        super().__init__(letter.id, letter.body, letter.deliveries)
        self._queue, self._letter, self._receipt = queue, letter, letter.held

    def _mine(self) -> Letter:
        letter = self._queue.letters.get(self.id)
        if letter is None or letter.held != self._receipt:
            raise LeaseLost(self.id)
        return letter

    def _renew(self) -> None:
        self._mine()
        self._queue.renewals += 1

    def _complete(self) -> None:
        self._mine()
        del self._queue.letters[self.id]

    def _release(self, seconds: float) -> None:
        self._mine().held = 0 if seconds == 0 else -1
        self._queue.delays.append(seconds)

    def _reject(self, reason: str) -> None:
        self._mine()
        self._queue.rejected.append((self.id, reason))
        del self._queue.letters[self.id]
