"""Receives the calls of a script: JSON lines on the loopback interface, from any process that knows the token."""

from __future__ import annotations

import hmac
import json
import logging
import secrets
import socketserver
import threading
from collections.abc import Callable
from typing import Self

from pydantic import JsonValue

Message = dict[str, JsonValue]

_MAX_LINE = 1_000_000

log = logging.getLogger("mitorch")


class ScriptChannel:
    """A server for one script. Each connection has a thread of its own, so that calls are answered in parallel."""

    def __init__(self, answer: Callable[[Message], Message]) -> None:
        """`answer` may raise ValueError: the script gets its message as the answer."""
        self._token = secrets.token_hex(16)
        self._server = _Server(self._token, answer)
        # 0.1 s is how long closing may take
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
    block_on_close = False  # a killed script may leave an unfinished call
    request_queue_size = 128

    def __init__(self, token: str, answer: Callable[[Message], Message]) -> None:
        self.token = token
        self.answer = answer
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        log.debug("a call of the script was cut off", exc_info=True)  # mostly because the script ended


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        while line := self.rfile.readline(_MAX_LINE):
            try:
                answer = self._answer(line)
            except (ValueError, RecursionError) as error:
                answer = {"error": str(error)}
            self.wfile.write(json.dumps(answer).encode() + b"\n")

    def _answer(self, line: bytes) -> Message:
        message = json.loads(line)
        if not isinstance(message, dict) or not self._is_ours(message.get("token")):
            raise ValueError("the call does not carry the token of this run: only its own script may call")
        return self.server.answer(message)

    def _is_ours(self, token: object) -> bool:
        return hmac.compare_digest(str(token).encode("utf-8", "backslashreplace"), self.server.token.encode())
