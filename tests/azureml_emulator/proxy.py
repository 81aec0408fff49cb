"""The HTTPS proxy: plays every host that the emulator knows and refuses all others."""

from __future__ import annotations

import socket
import socketserver
import ssl
import sys
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qsl, urlsplit

from tests.azureml_emulator.messages import Dropped, Request, Response
from tests.azureml_emulator.service import Service
from tests.azureml_emulator.tls import Authority


class Proxy(socketserver.ThreadingTCPServer):
    """A proxy on a free port of loopback."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, service: Service, authority: Authority) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.service, self.authority = service, authority

    @property
    def url(self) -> str:
        """Returns the value for HTTPS_PROXY."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are none of our concern; everything else is told."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    """One connection: CONNECT, then requests to the host behind it."""

    protocol_version = "HTTP/1.1"
    server: Proxy
    _host: str | None = None

    def setup(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().setup()

    def do_CONNECT(self) -> None:
        """Becomes the host, where it is one of ours."""
        host = self.path.rpartition(":")[0].lower()
        if self.server.service.knows(host) is None:
            self.server.service.refuse_host(host, "CONNECT", self.path)
            self._send(Response(403, b"unknown host"))
            self.close_connection = True
            return
        self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self._host, self.close_connection = host, False
        secure = self.server.authority.context(host).wrap_socket(self.connection, server_side=True)
        self.connection = self.request = secure
        self.rfile = secure.makefile("rb")
        self.wfile = _Writer(secure)  # type: ignore[assignment]

    def finish(self) -> None:
        """Says goodbye inside the tunnel as well."""
        if isinstance(self.connection, ssl.SSLSocket):
            self.rfile.close()
            self.connection.close()
        else:
            super().finish()

    def log_message(self, format: str, *args: object) -> None:
        """The traffic log has it all."""

    def _answer(self) -> None:
        if self._host is None:  # plain HTTP
            parts = urlsplit(self.path)
            self.server.service.refuse_host(parts.hostname or "", self.command, parts.path)
            self._send(Response(403, b"unknown host"))
            return
        try:
            self._send(self.server.service.answer(self._read(self._host)))
        except Dropped:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = do_HEAD = _answer

    def _read(self, host: str) -> Request:
        parts = urlsplit(self.path) if not self.path.startswith("//") else urlsplit("https://h" + self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        return Request(self.command, host, parts.path, query, headers, self._body())

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _send(self, response: Response) -> None:
        """Head and body in one piece."""
        self.send_response_only(response.status)
        headers = {"Content-Length": str(len(response.body)), "x-ms-request-id": "emulator", **response.headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self._headers_buffer.append(b"\r\n" + (b"" if self.command == "HEAD" else response.body))  # type: ignore[attr-defined]
        self.flush_headers()


class _Writer:
    """Writes to a TLS connection as to a file."""

    def __init__(self, connection: ssl.SSLSocket) -> None:
        self._connection = connection
        self.closed = False

    def write(self, data: bytes) -> int:
        """All of it."""
        self._connection.sendall(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is kept back."""
