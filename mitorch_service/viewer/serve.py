"""Runs the server on one address, in one process."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from dataclasses import dataclass

import uvicorn
from fastapi import FastAPI

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.models.secrets import mask_secrets

_END_SECONDS = 1  # for requests to end, and streams of events, which do not by themselves
_MOST_CONNECTIONS = 1000


class MaskingFormatter(logging.Formatter):
    """Masks credentials in messages and tracebacks."""

    def format(self, record: logging.LogRecord) -> str:
        return mask_secrets(super().format(record))


class EndFilter(logging.Filter):
    """Leaves out that streams of events were cut off at the end of the server: they have no end of their own."""

    def filter(self, record: logging.LogRecord) -> bool:
        cancelled = record.exc_info is not None and isinstance(record.exc_info[1], asyncio.CancelledError)
        return not cancelled and "timeout graceful shutdown exceeded" not in record.getMessage()


_LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"masked": {"()": MaskingFormatter, "fmt": "%(asctime)s %(levelname)s %(message)s"}},
    "filters": {"end": {"()": EndFilter}},
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": "masked",
            "filters": ["end"],
            "stream": "ext://sys.stderr",
        }
    },
    "loggers": {name: {"handlers": ["stderr"], "level": "WARNING"} for name in ("uvicorn", "mitorch_service")},
}


@dataclass(frozen=True)
class Listening:
    """A socket that listens, and its address as a URL."""

    socket: socket.socket
    url: str

    @property
    def port(self) -> int:
        """The port's number."""
        return int(self.socket.getsockname()[1])


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
    raise InvalidInput("--port", [Problem(problem, "Choose another with --port, or another --address.")])


def serve(app: FastAPI, listening: Listening) -> None:
    """Serves until SIGINT or SIGTERM, then ends within three seconds, whatever is open."""
    config = uvicorn.Config(
        app,
        log_config=_LOGGING,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_END_SECONDS,
        limit_concurrency=_MOST_CONNECTIONS,
        proxy_headers=False,
        ws="none",
        lifespan="on",
    )
    before = signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn raises what has ended it again, at its end
    try:
        uvicorn.Server(config).run(sockets=[listening.socket])
    except KeyboardInterrupt:
        pass  # the usual way to end it
    finally:
        signal.signal(signal.SIGTERM, before)
