"""A TCP proxy on loopback that shows one server as a replica set, which can lose its primary for a while."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import Any

import bson

SET = "rs0"

_OP_QUERY, _OP_MSG, _MORE_TO_COME = 2004, 2013, 2
_HEAD, _MESSAGE, _REPLY = 16, 21, 36  # bytes before the document: of any message, of an OP_MSG, of an OP_REPLY
_GREETINGS = ("hello", "ismaster", "isMaster")
_NOT_PRIMARY = {"ok": 0.0, "code": 10107, "codeName": "NotWritablePrimary", "errmsg": "not primary"}


class ElectionProxy:
    """Forwards messages to a server. While it elects, greetings are a secondary's and everything else is refused."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._electing = threading.Event()
        self._open: set[socket.socket] = set()
        self.refused = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.uri = f"mongodb://{self.address}/?replicaSet={SET}"
        threading.Thread(target=self._accept, daemon=True).start()

    def elect(self) -> None:
        """Takes the primary away, and drops its connections, as a server does that steps down."""
        self._electing.set()
        for client in list(self._open):
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def elected(self) -> None:
        """Gives the primary back."""
        self._electing.clear()

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
        self._open.add(client)
        with client, contextlib.suppress(OSError), socket.create_connection(self._server) as server:
            while request := _message(client):
                if self._electing.is_set() and not _greets(request):
                    self.refused += 1
                    if not _is_unacknowledged(request):
                        client.sendall(_answer(request, _NOT_PRIMARY))
                    continue
                server.sendall(request)
                if _is_unacknowledged(request):
                    continue
                if not (answer := _message(server)):
                    break
                client.sendall(self._as_member(answer) if _greets(request) else answer)
        self._open.discard(client)

    def _as_member(self, answer: bytes) -> bytes:
        start = _MESSAGE if _operation(answer) == _OP_MSG else _REPLY
        greeting: dict[str, Any] = bson.decode(answer[start:])
        for key in ("topologyVersion", "msg", "isWritablePrimary", "ismaster"):
            greeting.pop(key, None)
        writable = not self._electing.is_set()
        greeting |= {"setName": SET, "hosts": [self.address], "me": self.address, "secondary": not writable}
        greeting |= {"isWritablePrimary": writable, "ismaster": writable}
        body = answer[4:start] + bson.encode(greeting)
        return struct.pack("<i", 4 + len(body)) + body


def _greets(request: bytes) -> bool:
    if _operation(request) == _OP_QUERY:
        return True
    return next(iter(bson.decode(_first_document(request))), "") in _GREETINGS


def _is_unacknowledged(request: bytes) -> bool:
    """Whether the client waits for no answer."""
    return _operation(request) == _OP_MSG and bool(request[_HEAD] & _MORE_TO_COME)


def _first_document(request: bytes) -> bytes:
    """The document of an OP_MSG; sections with documents of their own may follow."""
    (size,) = struct.unpack_from("<i", request, _MESSAGE)
    return request[_MESSAGE : _MESSAGE + size]


def _operation(message: bytes) -> int:
    return int.from_bytes(message[12:_HEAD], "little")


def _answer(request: bytes, document: dict[str, Any]) -> bytes:
    (number,) = struct.unpack_from("<i", request, 4)
    body = bson.encode(document)
    return struct.pack("<iiiiIB", _MESSAGE + len(body), 1, number, _OP_MSG, 0, 0) + body


def _message(source: socket.socket) -> bytes:
    """One message of MongoDB's protocol, which begins with its length; empty at the end."""
    try:
        head = source.recv(4, socket.MSG_WAITALL)
        if len(head) < 4:
            return b""
        return head + source.recv(int.from_bytes(head, "little") - 4, socket.MSG_WAITALL)
    except OSError:
        return b""
