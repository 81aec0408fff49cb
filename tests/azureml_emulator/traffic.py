"""The log of every request and its answer, secrets included: tests look in it for what must not be there."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.azureml_emulator.messages import Request, Response

_LONGEST = 1 << 20


@dataclass
class Record:
    """One exchange; a status of 0 says that the connection was cut."""

    host: str
    method: str
    path: str
    operation: str | None = None
    fault: str | None = None
    status: int = 0
    beside: int = 0  # so many other requests were under way when it began
    request_headers: dict[str, str] = field(default_factory=dict)
    request_body: str = ""
    response_headers: dict[str, str] = field(default_factory=dict)
    response_body: str = ""


class Traffic:
    """Appends records to a file of JSON lines."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        self._lock = threading.Lock()
        self._under_way = 0

    def begin(self) -> int:
        """A request has come in; returns how many others are under way. `exchange` ends it."""
        with self._lock:
            self._under_way += 1
            return self._under_way - 1

    def exchange(
        self, request: Request, operation: str | None, fault: str | None, response: Response | None, beside: int
    ) -> None:
        """Notes a request with what was answered, None for nothing."""
        with self._lock:
            self._under_way -= 1
        query = "&".join(f"{name}={value}" for name, value in request.query.items())
        record = Record(request.host, request.method, request.path + (f"?{query}" if query else ""), operation, fault)
        record.beside = beside
        record.request_headers, record.request_body = dict(request.headers), _text(request.body)
        if response is not None:
            record.status, record.response_headers = response.status, response.headers
            record.response_body = "" if request.method == "HEAD" else _text(response.body)
        self._write(record)

    def refusal(self, host: str, method: str, path: str) -> None:
        """Notes that a host was asked for which is none of ours."""
        self._write(Record(host, method, path, operation="refused", status=403))

    def _write(self, record: Record) -> None:
        line = json.dumps({"time": time.time(), **vars(record)})
        with self._lock, self.path.open("a") as file:
            file.write(line + "\n")


def _text(body: bytes) -> str:
    """The body for reading; of a very long one the beginning."""
    text = body[:_LONGEST].decode(errors="replace")
    return text if len(body) <= _LONGEST else f"{text}… ({len(body)} bytes)"
