"""A receiver of webhooks on this machine, which answers as a test tells it to: at once, late, drop by drop, not at
all."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pydantic import SecretStr

from mitorch_service.webhook_settings.webhook import GROUPS, Kind, Webhook

SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"


@dataclass(frozen=True)
class Received:
    """One request."""

    path: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


@dataclass
class Receiver:
    """The requests that came, and what is answered: by default 200."""

    port: int = 0
    received: list[Received] = field(default_factory=list)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    text: str = "ok"
    hangs: bool = False  # no answer, until the test is over
    drips: bool = False  # an answer without end, a byte at a time
    dies: bool = False  # the connection is closed without an answer
    over: threading.Event = field(default_factory=threading.Event)

    def webhook(
        self, name: str = "ops", kind: Kind = "json", events: tuple[str, ...] = GROUPS, **fields: Any
    ) -> Webhook:
        """A webhook that posts here."""
        secret = SecretStr(SECRET) if kind == "json" else None
        url = SecretStr(f"http://127.0.0.1:{self.port}/{name}")
        return Webhook(name=name, kind=kind, url=url, secret=secret, events=events, **fields)

    def types(self) -> list[str]:
        """The types of the events that came to webhooks of kind json."""
        return [one.json()["type"] for one in self.received]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver that runs."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            names = {name.lower(): value for name, value in self.headers.items()}
            receiver.received.append(Received(self.path, names, body))
            if receiver.hangs:
                receiver.over.wait(20)
            if receiver.dies or receiver.hangs:
                return
            self.send_response(receiver.status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.end_headers()
            while receiver.drips and not receiver.over.wait(0.05):
                self.wfile.write(b".")
            self.wfile.write(receiver.text.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, address: object) -> None:
            pass  # a client that went away

    server = Server(("127.0.0.1", 0), Handler)
    receiver.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
