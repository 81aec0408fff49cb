"""The parent of a script's process: a small process that ends the script when the run that started it is gone.

Started by its path, not imported: ``python guard.py COMMAND…``, as the leader of a process group to which the script
and its children belong. Its standard input is a pipe from the run, which closes when the run ends, however that ends.
It ends as the script does: with its exit code, or by its signal.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
import threading

EXIT_NOT_STARTED = 127  # as in a shell
_PR_SET_PDEATHSIG = 1  # of prctl(2)


def guard(command: list[str]) -> int:
    """Runs the command to its end and returns its exit code, negative for a signal."""
    # A handler: an ignored signal would be ignored by the script, too. The script gets the signal as well, being in
    # the same group.
    signal.signal(signal.SIGTERM, lambda *_: None)
    prepare = None if sys.platform != "linux" else _DeathWithParent()
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=prepare)  # noqa: PLW1509 - no threads yet
    except OSError as error:
        os.write(1, f"{_visible(command[0])} could not be started: {error.strerror}\n".encode())
        return EXIT_NOT_STARTED
    threading.Thread(target=_end_with_the_run, daemon=True).start()
    return child.wait()


def _visible(name: str) -> str:
    """The name without control characters, which the log would pass on as output of the script."""
    return name if name.isprintable() else ascii(name)


class _DeathWithParent:
    """Has the kernel kill the process in which it is called when this one is killed."""

    def __init__(self) -> None:
        self._prctl = ctypes.CDLL(None).prctl
        self._parent = os.getpid()

    def __call__(self) -> None:
        self._prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self._parent:  # it was killed before
            os.kill(os.getpid(), signal.SIGKILL)


def _end_with_the_run() -> None:
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGKILL)


def _end_as(code: int) -> None:
    """Ends this process by the exit code or signal; does not return."""
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    _end_as(guard(sys.argv[1:]))
