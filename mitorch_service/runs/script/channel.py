"""Where a script's calls arrive: JSON lines on the loopback interface, from whoever knows the token."""

from __future__ import annotations

import hmac
import json
import logging
import secrets
import socketserver
import threading
from collections.abc import Callable
from typing import Any, Self

Answer = Callable[[dict[str, Any]], dict[str, Any]]

_MAX_LINE = 1_000_000

log = logging.getLogger("mitorch")


class ScriptChannel:
    """Each message is answered in a thread of its own connection, several at the same time."""

    def __init__(self, answer: Answer) -> None:
        """`answer` raises ValueError for what it does not understand: the script is told."""
        self._token = secrets.token_hex(16)
        self._server = _Server(self._token, answer)
        # The interval is how long closing may take.
        self._thread = threading.Thread(target=lambda: self._server.serve_forever(0.1), name="script", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """host:port:token, for the script's environment only."""
        host, port = self._server.server_address[:2]
        return f"{host!s}:{port}:{self._token}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False  # a script that is killed may leave a call half done
    request_queue_size = 128

    def __init__(self, token: str, answer: Answer) -> None:
        self.token, self.answer = token, answer
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.debug("a call of the script was cut off", exc_info=True)  # by its end, mostly


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        while line := self.rfile.readline(_MAX_LINE):
            try:
                answer = self._answer(line)
            except ValueError as error:
                answer = {"error": str(error)}
            self.wfile.write(json.dumps(answer).encode() + b"\n")

    def _answer(self, line: bytes) -> dict[str, Any]:
        message = json.loads(line)
        if not isinstance(message, dict) or not hmac.compare_digest(str(message.get("token")), self.server.token):
            raise ValueError("this is no call of the run's own script")
        return self.server.answer(message)
