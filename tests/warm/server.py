"""The process that is forked: `python -m tests.warm.server SOCKET LOCK MODULE…`; ends with its standard input.

LOCK is a file descriptor, which no fork keeps (see `tests.warm.servers`)."""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import pickle
import runpy
import selectors
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

TRAINING_DATASET_COMMANDS = ("split", "check", "suspects", "cvat")  # of midataset: they import PyTorch, or an SDK
_MESSAGE_BYTES = 1 << 20
_DESCRIPTORS = (
    "MITORCH_SETTINGS_FD",
    "MITORCH_ALIVE",
)  # variables that name descriptors; not imported: a relay is quick
_GUARD = Path(__file__).parents[1] / "azureml_emulator" / "guard" / "sitecustomize.py"


@dataclass(frozen=True)
class Order:
    """A command to run. Its standard streams come with it."""

    arguments: list[str]  # as in sys.argv
    original: list[str]  # as in sys.orig_argv
    environment: dict[str, str]
    folder: str


def inherited(environment: Mapping[str, str]) -> list[int]:
    """The descriptors that the environment of a run names."""
    return [int(environment[name].partition(":")[0]) for name in _DESCRIPTORS if name in environment]


def send_order(connection: socket.socket, order: Order, streams: list[int]) -> int:
    """Has the command started; returns its process id. The connection ends with an exit status (`wait_status`).
    `streams`: the standard ones, then those that are inherited.

    Raises ConnectionError if the server has ended.
    """
    socket.send_fds(connection, [pickle.dumps(order)], streams)
    answer = connection.recv(8)
    if not answer:
        raise ConnectionError("the server of forked commands has ended")
    return int.from_bytes(answer, "big")


def wait_status(connection: socket.socket) -> int | None:
    """Waits for the end of the command; returns its status as os.waitpid does, None if the server has ended."""
    answer = connection.recv(8)
    return int.from_bytes(answer, "big") if answer else None


def serve(path: str, lock: int) -> Order:
    """Forks until its standard input ends, then exits; returns in each child, with what it is to do."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(path)
    listener.listen(64)
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.set_wakeup_fd(wakes)
    running: dict[int, socket.socket] = {}
    selector = selectors.DefaultSelector()
    for file in (sys.stdin.fileno(), listener, woken):
        selector.register(file, selectors.EVENT_READ)
    print("ready", flush=True)
    while True:
        ready = {key.fileobj for key, _ in selector.select()}
        if sys.stdin.fileno() in ready:
            sys.exit()
        if woken in ready:
            os.read(woken, 4096)
            _report_ended(running)
        if listener in ready and (ordered := _accept(listener)):
            connection, message, streams = ordered
            pid = os.fork()
            if pid == 0:
                for other in running.values():
                    other.close()
                selector.close()
                listener.close()
                for file in (woken, wakes, lock):
                    os.close(file)
                return _become(pickle.loads(message), connection, streams)
            for stream in streams:
                os.close(stream)
            _tell(connection, pid)
            running[pid] = connection


def _accept(listener: socket.socket) -> tuple[socket.socket, bytes, list[int]] | None:
    """Takes an order with its standard streams; None where whoever would have sent it was killed."""
    connection, _ = listener.accept()
    message, streams, _, _ = socket.recv_fds(connection, _MESSAGE_BYTES, 3 + len(_DESCRIPTORS))
    if not message:
        connection.close()
        return None
    return connection, message, streams


def _report_ended(running: dict[int, socket.socket]) -> None:
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        with running.pop(pid) as connection:
            _tell(connection, status)


def _tell(connection: socket.socket, number: int) -> None:
    with suppress(OSError):  # who ordered the command was killed: it must not end the server
        connection.send(number.to_bytes(8, "big"))


def _become(order: Order, connection: socket.socket, streams: list[int]) -> Order:
    """Makes this process what the order says."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(order.environment)
    for number, stream in enumerate(streams[:3]):
        os.dup2(stream, number)
        os.close(stream)
    for name, stream in zip((name for name in _DESCRIPTORS if name in os.environ), streams[3:], strict=False):
        _, colon, rest = os.environ[name].partition(":")
        os.environ[name] = f"{stream}{colon}{rest}"
    os.chdir(order.folder)
    sys.path[1:1] = filter(None, order.environment.get("PYTHONPATH", "").split(os.pathsep))
    sys.argv[:], sys.orig_argv[:] = order.arguments, order.original
    if "EMULATOR_LEFT_LOOPBACK" in os.environ:
        runpy.run_path(str(_GUARD))
    os.setsid()
    threading.Thread(target=_die_with, args=(connection,), name="warm", daemon=True).start()
    return order


def _die_with(connection: socket.socket) -> None:
    """Whoever has ordered the command is gone, or has canceled it: as if this process had been killed itself."""
    connection.recv(1)
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    """Imports, serves, and runs the command in each child."""
    path, lock, *modules = sys.argv[1:]
    gc.disable()  # nothing of what is imported is ever garbage
    from mitorch_service.cli import main as commands

    for module in modules:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
    gc.enable()
    order = serve(path, int(lock))
    program = order.arguments[0]
    if program == "-c":
        exec(order.original[order.original.index("-c") + 1], {"__name__": "__main__"})
        return
    if program in ("mirun", "mitrain", "mitest") and "REAL_PICTURES" not in os.environ:
        import matplotlib.figure
        import matplotlib.pyplot  # which reads what a Figure has

        from tests.quick_pictures import BlankFigure  # not above: a relay imports this module, and must be quick

        matplotlib.figure.Figure = BlankFigure  # type: ignore[assignment,misc]
    try:
        getattr(commands, program)()
    except SystemExit as end:
        _leave(end.code)
    _leave(None)


def _leave(code: str | int | None) -> NoReturn:
    """Exits as Python does, but does not take its modules apart: that would copy all pages that the fork shares."""
    if isinstance(code, str):
        print(code, file=sys.stderr)
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads that are no daemons
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    main()
