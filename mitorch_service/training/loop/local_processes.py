"""Further processes of this same command on this machine, one for each further GPU."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mitorch_service.models.config import TrainingConfig
from mitorch_service.models.exit_codes import EXIT_INFRASTRUCTURE

_PATIENCE_SECONDS = 60.0  # between the end of one process and that of another
_PLACES = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")  # as torchrun names them

log = logging.getLogger("mitorch")


def wanted_processes(config: TrainingConfig) -> int:
    """How many of this machine's GPUs the config asks for (``resources.gpus``), each for a process of its own; 1 where
    a cluster has started the processes already."""
    import torch

    asked = config.resources.gpus if config.resources is not None else None
    if "RANK" in os.environ or not asked:
        return 1
    return max(1, min(asked, torch.cuda.device_count()))


@contextmanager
def local_processes(processes: int, command: Sequence[str] | None = None) -> Iterator[None]:
    """Starts `command` (this process's own) once more for each process beyond the first, with the environment by which
    `Processes.joined` finds the others; within, this one has rank 0. Nothing happens for one process.

    Should a companion fail, this process ends too: it would wait for it forever.
    """
    if processes == 1:
        yield
        return
    here = {"WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
    program = list(command or [sys.executable, *sys.orig_argv[1:]])
    started = [
        subprocess.Popen(program, env={**os.environ, **here, "RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(1, processes)
    ]
    done = threading.Event()
    for companion in started:
        threading.Thread(target=_watch, args=(companion, done), name="companion", daemon=True).start()
    os.environ.update(here, RANK="0", LOCAL_RANK="0")
    try:
        yield
        done.set()
        for companion in started:
            companion.wait(_PATIENCE_SECONDS)
    finally:
        done.set()
        for name in _PLACES:
            del os.environ[name]
        for companion in started:
            companion.kill()
            companion.wait()


def _watch(companion: subprocess.Popen[bytes], done: threading.Event) -> None:
    code = companion.wait()
    if code == 0 or done.wait(_PATIENCE_SECONDS):  # it may have failed of what makes this process fail too
        return
    log.error("a process of this training ended with exit code %d: the others cannot go on", code)
    os._exit(EXIT_INFRASTRUCTURE)


def _free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])
