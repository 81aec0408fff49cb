"""The real commands, in processes of their own, on a home of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.digits import TINY_TRAINING, write_small_digits
from tests.warm.command import Command, Process, with_warm_runs

_COMMAND_SECONDS = 240
_EMULATED = "EMULATOR_LEFT_LOOPBACK"  # what its PYTHONPATH does, forked commands do as well


@dataclass(frozen=True)
class Answer:
    """The output and exit code of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Machine:
    """One user on one machine: a home folder, a working folder, the commands. See `tests.warm` for how they start."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.home = folder / ".mitorch"
        self.environment = {**_inherited(), "HOME": str(folder), **environment}
        # Else something must be done or read at the start of Python.
        self._forks = "PYTHONPATH" not in environment or _EMULATED in environment

    def run(self, *arguments: str | Path, **environment: str) -> Answer:
        """Runs ``mitorch ARGUMENTS`` to its end."""
        process = self._start([*map(str, arguments)], {**self.environment, **environment}, merged=False)
        out, err = process.communicate(timeout=_COMMAND_SECONDS)
        assert process.returncode is not None
        return Answer(process.returncode, out, err)

    def ok(self, *arguments: str | Path) -> str:
        """Runs a command that must succeed; returns what it printed."""
        answer = self.run(*arguments)
        assert answer.code == 0, f"{arguments}: {answer}"
        return answer.out.strip()

    def start(self, *arguments: str) -> Process:
        """Starts a command and does not wait. Its errors come with its output."""
        return self._start(arguments, self.environment, merged=True)

    def _start(self, arguments: Sequence[str], environment: dict[str, str], merged: bool) -> Process:
        if self._forks:
            if arguments[0] == "control" and _EMULATED not in environment:
                environment = with_warm_runs(environment)
            return Command(arguments, environment, self.folder, merged)
        return subprocess.Popen(
            [sys.executable, "-m", "mitorch_service.cli.main", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merged else subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=environment,
        )

    def write(self, name: str, content: Any) -> str:
        """Writes a file (text as it is, anything else as JSON); returns its name."""
        text = content if isinstance(content, str) else json.dumps(content)
        (self.folder / name).write_text(text)
        return name

    def query(self, id: str) -> dict[str, Any]:
        """miquery ID --json"""
        answer: dict[str, Any] = json.loads(self.ok("query", id, "--json"))
        return answer

    def run_process(self, training: str, attempt: int = 1) -> int:
        """The process id of an attempt's run, once it has one."""
        path = self.home / "runs" / f"mt-{training}-a{attempt}" / "process.json"
        until(path.exists, "the run has a process")
        pid: int = json.loads(path.read_text())["run"][0]
        return pid

    def print_logs(self) -> None:
        """Prints the ends of the runs' logs, which pytest shows where the test has failed."""
        for path in sorted(self.home.glob("runs/*/log.txt")):
            print(path.parent.name, *path.read_text("utf-8", "replace").splitlines()[-25:], sep="\n    ")

    def kill_runs(self) -> None:
        """Ends whatever a test left running."""
        for path in self.home.glob("runs/*/process.json"):
            for pid, _ in json.loads(path.read_text()).values():
                for kill in (os.killpg, os.kill):
                    try:
                        kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        continue


def until(condition: Callable[[], Any], what: str, seconds: float = 150) -> Any:
    """Waits for something that another process does; returns it."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"waited {seconds} s in vain until {what}"
        time.sleep(0.05)
    return value


def _inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("MITORCH_")}


@pytest.fixture(params=["sqlite", "mongo"])
def database_environment(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The settings of each database: nothing for SQLite, which is the default."""
    if request.param == "sqlite":
        yield {}
        return
    import pymongo

    uri, name = request.getfixturevalue("mongodb_uri"), f"mitorch_acceptance_{os.getpid()}_{abs(hash(tmp_path))}"
    yield {"MITORCH_DB_URI": uri, "MITORCH_DB_NAME": name}
    with pymongo.MongoClient[dict[str, object]](uri) as client:
        client.drop_database(name)


@pytest.fixture
def bare_machine(tmp_path: Path) -> Iterator[Machine]:
    """An empty home, SQLite."""
    machine = Machine(tmp_path, {})
    yield machine
    machine.print_logs()
    machine.kill_runs()


@pytest.fixture
def machine(bare_machine: Machine) -> Machine:
    """A home with the data set `digits` registered and a tiny training config, SQLite."""
    return _furnish(bare_machine)


@pytest.fixture
def each_machine(tmp_path: Path, database_environment: dict[str, str]) -> Iterator[Machine]:
    """The same on each database."""
    machine = _furnish(Machine(tmp_path, database_environment))
    yield machine
    machine.kill_runs()


def _furnish(machine: Machine) -> Machine:
    definition = write_small_digits(machine.folder / "digits")
    machine.ok("dataset", "register", definition)
    machine.write("training.json", TINY_TRAINING)
    return machine
