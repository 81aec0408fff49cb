"""The controllers and the submitter of a chaos run, which are started again when they have ended."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.chaos.folders import Folders

_CONTROL = ("-m", "mitorch_service.cli.main", "control", "run", "--every", "1")
_END_SECONDS = 60.0


class Service:
    """Several controllers and a submitter."""

    def __init__(self, folders: Folders, environment: Mapping[str, str], controllers: int, submit: list[str]) -> None:
        self._folders = folders
        self._environment = environment
        self._commands = {f"controller-{n}": [*_CONTROL] for n in range(controllers)} | {"submitter": submit}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.exits: list[str] = []  # of those that ended by themselves with an error

    def keep_up(self) -> None:
        """Starts what is not running: a submitter that has ended well stays so."""
        for name, command in self._commands.items():
            process = self._running.get(name)
            code = None if process is None else process.poll()
            if process is not None and (code is None or (code == 0 and name == "submitter")):
                continue
            if code is not None and code > 0:
                self.exits.append(f"{name} ended with exit code {code}")
            with (self._folders.logs / f"{name}.log").open("ab") as log:
                self._running[name] = subprocess.Popen(
                    [sys.executable, *command],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=self._environment,
                    cwd=self._folders.root,
                )

    @property
    def submitted(self) -> bool:
        """Whether the submitter has done its work."""
        process = self._running.get("submitter")
        return process is not None and process.poll() == 0

    def end(self) -> None:
        """Ends the controllers; runs go on."""
        for process in self._running.values():
            if process.poll() is None:
                process.terminate()
        for process in self._running.values():
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def submit_command(folder: Path, trainings: int, seed: int) -> list[str]:
    """The arguments of Python for the submitter."""
    return ["-m", "tests.chaos.submitter", str(folder), str(trainings), str(seed)]
