"""A TCP proxy on loopback that loses a request or its answer on command, or answers in the server's place."""

from __future__ import annotations

import socket
import struct
import threading
from collections import deque
from collections.abc import Mapping
from typing import Any, Literal

import bson

Loss = Literal["request", "answer"]

_OP_MSG, _MORE_TO_COME = 2013, 2


class FlakyProxy:
    """Forwards bytes to a server. After `lose`, the next request that holds the given bytes is dropped with its
    connection: before the server sees it, or after the server has answered."""

    def __init__(self, host: str, port: int, at: int = 0) -> None:
        """`at`: the port on which it listens; 0: any."""
        self._server = (host, port)
        self._marker: bytes | None = None
        self._loss: Loss = "request"
        self.lost = 0
        self._answers: deque[bytes] = deque()
        self._answered = b""
        self.answered = 0
        self._refusal, self._refused = b"", tuple[bytes, ...]()
        self._listener = socket.create_server(("127.0.0.1", at))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def lose(self, loss: Loss, marker: bytes) -> None:
        """Sets a message to lose, once."""
        self._loss, self._marker = loss, marker

    def answer(self, marker: bytes, *answers: Mapping[str, Any]) -> None:
        """Gives these answers to the next requests that hold the given bytes; the server never sees those requests."""
        self._answers = deque(bson.encode(answer) for answer in answers)
        self._answered = marker

    def refuse(self, answer: Mapping[str, Any], *markers: bytes) -> None:
        """Gives this answer to every request that holds one of the given bytes, from now on; without any to none."""
        self._refusal, self._refused = bson.encode(answer), markers

    def close(self) -> None:
        """No new connections from now on."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._server) as server:
            while request := _message(client):
                lost = self._marker is not None and self._marker in request
                if lost:
                    self._marker = None
                    self.lost += 1
                    if self._loss == "request":
                        return
                if self._answers and self._answered in request and not _is_unacknowledged(request):
                    self.answered += 1
                    client.sendall(_reply(request, self._answers.popleft()))
                    continue
                if any(marker in request for marker in self._refused) and not _is_unacknowledged(request):
                    client.sendall(_reply(request, self._refusal))
                    continue
                server.sendall(request)
                if _is_unacknowledged(request):
                    continue
                answer = _message(server)
                if lost or not answer:
                    return
                client.sendall(answer)


def _is_unacknowledged(request: bytes) -> bool:
    """Whether the client waits for no answer: an OP_MSG with the flag moreToCome."""
    operation, flags = (int.from_bytes(request[start : start + 4], "little") for start in (12, 16))
    return operation == _OP_MSG and bool(flags & _MORE_TO_COME)


def _reply(request: bytes, document: bytes) -> bytes:
    """The answer to an OP_MSG: one section, of kind 0."""
    (number,) = struct.unpack_from("<i", request, 4)
    return struct.pack("<iiiiIB", 21 + len(document), 1, number, _OP_MSG, 0, 0) + document


def _message(source: socket.socket) -> bytes:
    """One message of MongoDB's protocol, which begins with its length; empty at the end."""
    try:
        head = source.recv(4, socket.MSG_WAITALL)
        if len(head) < 4:
            return b""
        return head + source.recv(int.from_bytes(head, "little") - 4, socket.MSG_WAITALL)
    except OSError:
        return b""
