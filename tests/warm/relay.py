"""A process whose work another one does: it lives as long, takes its signals, and ends in the same way."""

from __future__ import annotations

import os
import signal
import socket
import sys
from typing import NoReturn

from tests.warm.server import Order, send_order, wait_status

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def relay(server: str) -> NoReturn:
    """Has this process's own command run by the server."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    environment = {name: value for name, value in os.environ.items() if name != "WARM_RUNS"}  # it does not relay again
    order = Order(["mirun", *sys.orig_argv[3:]], sys.orig_argv, environment, os.getcwd())  # noqa: PTH109
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.connect(server)
        child = send_order(connection, order, [0, 1, 2])
        for number in _SIGNALS:
            signal.signal(number, lambda received, _: os.kill(child, received))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        status = wait_status(connection)
    if status is None:
        os._exit(1)
    if os.WIFSIGNALED(status):
        signal.signal(os.WTERMSIG(status), signal.SIG_DFL) if os.WTERMSIG(status) != signal.SIGKILL else None
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.waitstatus_to_exitcode(status))
