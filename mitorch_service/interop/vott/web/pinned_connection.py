"""A connection to an address that was checked, and all that are open."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Sequence
from contextlib import suppress

from mitorch_service.early_answers import EarlyAnswers
from mitorch_service.interop.vott.web.addresses import IPAddress
from mitorch_service.interop.vott.web.web_address import WebAddress


class PinnedConnection(EarlyAnswers):
    """A connection to one of some addresses, whatever the host's name says meanwhile."""

    def __init__(
        self, address: WebAddress, permitted: Sequence[IPAddress], tls: ssl.SSLContext | None, seconds: float
    ) -> None:
        super().__init__(address.host, address.port, timeout=seconds)
        self._permitted = permitted
        self._tls = tls
        self._used: socket.socket | None = None  # which http.client forgets, once it has the head of an answer

    def connect(self) -> None:
        for number, address in enumerate(self._permitted):
            try:
                self.sock = socket.create_connection((str(address), self.port), self.timeout)
                break
            except OSError:
                if number == len(self._permitted) - 1:
                    raise
        if self._tls is not None:
            self.sock = self._tls.wrap_socket(self.sock, server_hostname=self.host, do_handshake_on_connect=False)
        self._used = self.sock
        if isinstance(self.sock, ssl.SSLSocket):
            self.sock.do_handshake()  # with a socket that `abandon` knows: it may come to no end

    def abandon(self) -> None:
        """Ends whatever waits for the other side."""
        if self._used is not None:
            with suppress(OSError):
                self._used.shutdown(socket.SHUT_RDWR)


class OpenConnections:
    """The connections that are open, until the program ends."""

    def __init__(self) -> None:
        self._open: set[PinnedConnection] = set()
        self._lock = threading.Lock()
        self.ended = False

    def add(self, connection: PinnedConnection) -> bool:
        """Adds one that is about to be used; False if the program ends."""
        with self._lock:
            if not self.ended:
                self._open.add(connection)
            return not self.ended

    def remove(self, connection: PinnedConnection) -> None:
        """Forgets one that is closed."""
        with self._lock:
            self._open.discard(connection)

    def end(self) -> None:
        """Ends whatever waits for the other sides."""
        with self._lock:
            self.ended = True
            for connection in self._open:
                connection.abandon()
