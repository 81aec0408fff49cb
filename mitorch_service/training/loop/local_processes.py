"""Starts further processes of the current command on this machine, one for each further GPU."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mitorch_service.inherited_settings import settings_fd
from mitorch_service.models.attempts.exit_codes import EXIT_INFRASTRUCTURE
from mitorch_service.models.config.training_config import TrainingConfig

_PATIENCE_SECONDS = 60.0  # between the end of one process and that of another
_VARIABLES = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")  # the names of torchrun

log = logging.getLogger("mitorch")


def wanted_processes(config: TrainingConfig) -> int:
    """The number of this machine's GPUs that the config requests (``resources.gpus``), each for a process of its own; 1
    if a cluster has started the processes already."""
    import torch

    requested = config.resources.gpus if config.resources is not None else None
    if "RANK" in os.environ or not requested:
        return 1
    return max(1, min(requested, torch.cuda.device_count()))


@contextmanager
def local_processes(processes: int, command: Sequence[str] | None = None) -> Iterator[None]:
    """Starts `command` (by default this process's own) for each process beyond the first, with the environment by which
    `Processes.joined` finds the others; this one has rank 0 meanwhile. Does nothing for one process.

    If one of the others fails, this process exits too: it would wait for it forever.
    """
    if processes == 1:
        yield
        return
    environment = {"WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
    program = list(command or [sys.executable, *sys.orig_argv[1:]])
    settings = settings_fd(os.environ)
    started = [
        subprocess.Popen(
            program,
            env={**os.environ, **environment, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            pass_fds=[] if settings is None else [settings],
        )
        for rank in range(1, processes)
    ]
    done = threading.Event()
    for process in started:
        threading.Thread(target=_watch, args=(process, done), name="local process", daemon=True).start()
    os.environ.update(environment, RANK="0", LOCAL_RANK="0")
    try:
        yield
        done.set()
        for process in started:
            process.wait(_PATIENCE_SECONDS)
    finally:
        done.set()
        for name in _VARIABLES:
            del os.environ[name]
        for process in started:
            process.kill()
            process.wait()


def _watch(process: subprocess.Popen[bytes], done: threading.Event) -> None:
    code = process.wait()
    if code == 0 or done.wait(_PATIENCE_SECONDS):  # whatever made it fail may end this process in good order, too
        return
    log.error("a process of this training ended with exit code %d: the others cannot continue", code)
    os._exit(EXIT_INFRASTRUCTURE)


def _free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])
