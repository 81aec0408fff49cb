"""The process of a script: its output and its end, requested or not."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

import psutil

from mitorch_service.runs.script import guard

_POLL_SECONDS = 0.2
_OUTPUT_SECONDS = 10.0
_MAX_LINE = 8192


@dataclass(frozen=True)
class Graces:
    """Grace periods for a script to end, in seconds; together shorter than the one that a cluster gives the run."""

    asked: float = 12.0  # from should_stop() to SIGTERM, for a script that calls it
    terminated: float = 10.0  # from SIGTERM to SIGKILL


@dataclass(frozen=True)
class ScriptEnd:
    """The end of the process."""

    code: int  # negative for a signal
    by_signal_of_ours: bool
    was_silent: bool = False  # stopped or hung: it was killed


class ScriptProcess:
    """A process group of the script and its children, which ends when this is closed or this process ends."""

    def __init__(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str], show: Callable[[str], object]
    ) -> None:
        """Starts the script in the folder; `show` is called with each line of its output, from a thread."""
        self._show = show
        # Isolated: the script's environment may configure Python for the script, not for the guard.
        program = [sys.executable, "-I", "-S", guard.__file__, *command]
        self._guard = subprocess.Popen(
            program,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=environment,
            process_group=0,
        )
        self._output = threading.Thread(target=self._pump, name="output", daemon=True)
        self._output.start()

    def wait(
        self,
        should_stop: Callable[[], bool],
        asks: Callable[[], bool],
        graces: Graces,
        is_silent: Callable[[], bool] = lambda: False,
    ) -> ScriptEnd:
        """Waits for the end. Once `should_stop` is true, a script that `asks` gets time to end by itself; then every
        script gets SIGTERM, and later SIGKILL. One that `is_silent` is killed."""
        while not should_stop():
            if self._ends_within(_POLL_SECONDS):
                return ScriptEnd(self._guard.returncode, False)
            if is_silent():
                self._signal(signal.SIGKILL)
                return ScriptEnd(self._guard.wait(), False, was_silent=True)
        if self._ends_within(graces.asked if asks() else 0.0):
            return ScriptEnd(self._guard.returncode, False)
        self._signal(signal.SIGTERM)
        if not self._ends_within(graces.terminated):
            self._signal(signal.SIGKILL)
        return ScriptEnd(self._guard.wait(), True)

    def processor_seconds(self) -> float:
        """The processor time that the script and its children have used; of those that live."""
        try:
            processes = psutil.Process(self._guard.pid).children(recursive=True)
        except psutil.Error:
            return 0.0
        total = 0.0
        for process in processes:
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                total += times.user + times.system
        return total

    def close(self) -> None:
        """Kills the rest of the group, and returns when all of its output is shown."""
        self._signal(signal.SIGKILL)
        self._guard.wait()
        self._output.join(_OUTPUT_SECONDS)
        for stream in (self._guard.stdin, self._guard.stdout):
            if stream is not None and not self._output.is_alive():
                stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _ends_within(self, seconds: float) -> bool:
        try:
            self._guard.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._guard.pid, number)

    def _pump(self) -> None:
        stream: IO[bytes] | None = self._guard.stdout
        while stream is not None and (line := stream.readline(_MAX_LINE)):
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            self._show(text.rpartition("\r")[2])  # the last state of a progress bar
