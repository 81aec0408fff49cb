"""A process whose work another one does: it lives as long, takes its signals, and ends in the same way."""

from __future__ import annotations

import os
import signal
import socket
import sys

from tests.warm.server import TRAINING_DATASET_COMMANDS, Order, inherited, send_order, wait_status

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
_NO_SERVER = 70
_MODULE = ["-m", "mitorch_service.cli.main"]


def relay() -> None:
    """Has this process's own command run by the server that its environment names, if there is one for it.

    WARM_RUNS names the one for trainings, WARM_COMMANDS that for other commands, WARM_CODE that for ``python -c``,
    WARM_WORKER that for a worker of pytest-xdist, which is nothing else.
    """
    first, *arguments = [one for one in sys.orig_argv[1:] if one != "-u"] or [""]  # pytest-xdist's workers have a -u
    if [first, *arguments[:1]] == _MODULE and arguments[1:2] == ["run"]:
        program, arguments = "mirun", arguments[2:]
    elif first == "-c":
        program, arguments = first, arguments[1:]
    else:
        program = os.path.basename(first)  # noqa: PTH119  # pathlib is more to import
    server = _server(program, arguments)
    if server:
        try:
            _relay(server, [program, *arguments])
        except BaseException:  # noqa: BLE001  # whatever it is, it is the end
            sys.excepthook(*sys.exc_info())
            os._exit(_NO_SERVER)  # `site` would go on, with the signals blocked


def _server(program: str, arguments: list[str]) -> str | None:
    if program == "-c":
        return os.environ.get("WARM_WORKER") or os.environ.get("WARM_CODE")
    trains = program == "midataset" and arguments[:1] and arguments[0] in TRAINING_DATASET_COMMANDS
    if trains or program in ("mirun", "mitrain", "mitest", "mipredict"):
        return os.environ.get("WARM_RUNS")
    return os.environ.get("WARM_COMMANDS") if program in ("misubmit", "miquery", "midataset", "micontrol") else None


def _relay(server: str, command: list[str]) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # none may come before there is a child to send it to
    # What it starts, in turn, may be forked as well; only it must not be sent on.
    order = Order(command, sys.orig_argv, _environment(), os.getcwd())  # noqa: PTH109
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.connect(server)
        child = send_order(connection, order, [0, 1, 2, *inherited(order.environment)])
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


def _environment() -> dict[str, str]:
    """This one; without what a worker was forked by, as not every Python that it starts shall be."""
    environment = dict(os.environ)
    if environment.pop("WARM_WORKER", None):
        del environment["WARM_ROOT"]
        environment["PYTHONPATH"] = environment["PYTHONPATH"].partition(os.pathsep)[2]
    return environment
