"""Imported by every Python that finds this folder first in PYTHONPATH: notes and stops what would leave loopback."""

from __future__ import annotations

import os
import socket
import sys
from typing import Any

_LOCAL = ("127.0.0.1", "::1", "localhost", "0.0.0.0", "", None, socket.gethostname())


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
        if isinstance(address, tuple) and address:
            _check(address[0])
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        _check(arguments[0])


def _check(host: Any) -> None:
    name = host.decode() if isinstance(host, bytes) else host
    if name in _LOCAL or str(name).startswith("127."):
        return
    with open(os.environ["EMULATOR_LEFT_LOOPBACK"], "a") as file:  # noqa: PTH123  # nothing more is imported here
        file.write(f"{name}\n")
    raise OSError(f"{name} is not on loopback")


if "EMULATOR_LEFT_LOOPBACK" in os.environ:
    sys.addaudithook(_watch)
    if __name__ == "sitecustomize" and "WARM_ROOT" in os.environ:
        sys.path.insert(0, os.environ["WARM_ROOT"])
        import tests.warm.hook.sitecustomize  # noqa: F401
