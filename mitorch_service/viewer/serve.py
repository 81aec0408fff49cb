"""Runs the server on one address, in one process."""

from __future__ import annotations

import socket
from dataclasses import dataclass

import uvicorn
from fastapi import FastAPI

from mitorch_service.errors import InvalidInput, Problem

LOOPBACK = ("127.0.0.1", "::1", "localhost")
_END_SECONDS = 3  # for streams of events to end
_MOST_CONNECTIONS = 1000


@dataclass(frozen=True)
class Listening:
    """A socket that listens, and its address as a URL."""

    socket: socket.socket
    url: str


def listen(address: str, port: int | None, first: int) -> Listening:
    """Binds the address: to `port`, or without one to the first free port from `first` on. Raises InvalidInput."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    tried = [port] if port is not None else [*range(first, first + 20), 0]
    problem = ""
    for number in tried:
        server = socket.socket(family, socket.SOCK_STREAM)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((address, number))
        except OSError as error:
            server.close()
            problem = f"{address}:{number}: {error.strerror or error}"
            continue
        server.listen(128)
        shown = f"[{address}]" if family == socket.AF_INET6 else address
        return Listening(server, f"http://{shown}:{server.getsockname()[1]}")
    raise InvalidInput("--port", [Problem("", f"{problem}. Choose another with --port, or another --address.")])


def serve(app: FastAPI, listening: Listening) -> None:
    """Serves until SIGINT or SIGTERM."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_END_SECONDS,
        limit_concurrency=_MOST_CONNECTIONS,
        proxy_headers=False,
        ws="none",
        lifespan="on",
    )
    uvicorn.Server(config).run(sockets=[listening.socket])
