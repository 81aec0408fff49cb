"""The database of a chaos run: a SQLite file, or a MongoDB-compatible server of its own, whose processes are killed."""

from __future__ import annotations

import math
import os
import random
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path

import psutil

from tests.mongodb_server import SCRIPT

_MONGODB_CACHE = "MITORCH_TEST_CACHE"


class Database:
    """A SQLite file: it has no process of its own."""

    uri: str | None = None
    troubles: Mapping[str, int] = {}  # by name, how often
    exact_up_to = math.inf  # the largest count of trainings that no kill makes wrong

    def __init__(self, home: Path) -> None:
        self._file = home / "mitorch.db"

    def make(self, trouble: str) -> bool:
        """Makes one of the troubles; False if it could not be made now."""
        raise NotImplementedError(trouble)

    def repair(self) -> None:
        """Continues and starts what is not running."""

    def damage(self) -> list[str]:
        """Returns the faults that the database's own check finds."""
        with closing(sqlite3.connect(self._file)) as connection:
            return [row[0] for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]

    def close(self) -> None:
        """Ends its processes."""


class MongoDatabase(Database):
    """A DocumentDB engine with its gateway, cloned from the one of scripts/mongodb."""

    exact_up_to = 100  # docs/performance.md
    troubles = {
        "SIGKILL gateway": 8,
        "SIGSTOP gateway": 6,
        "SIGKILL PostgreSQL": 4,
        "SIGKILL a backend of PostgreSQL": 4,  # which restarts by itself then
        "SIGSTOP PostgreSQL": 4,
    }

    def __init__(self, folder: Path, draw: random.Random) -> None:
        """Sets it up below `folder`, which must not exist."""
        self._folder = folder
        self._draw = draw
        self._call("clone", str(folder), own=False)
        self.uri = self._call("start")

    def make(self, trouble: str) -> bool:
        name, _, whom = trouble.partition(" ")
        pids = self._gateway() if whom == "gateway" else self._postgres()
        if whom.startswith("a backend"):
            main = self._postmaster()
            pids = [self._draw.choice(rest)] if (rest := [pid for pid in pids if pid != main]) else []
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.Signals[name])
        return bool(pids)

    def repair(self) -> None:
        for pid in [*self._gateway(), *self._postgres()]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self._call("start")

    def damage(self) -> list[str]:
        return []

    def close(self) -> None:
        self.repair()
        self._call("stop")
        shutil.rmtree(self._folder, ignore_errors=True)

    def _call(self, *arguments: str, own: bool = True) -> str:
        environment = {**os.environ, **({_MONGODB_CACHE: str(self._folder)} if own else {})}
        done = subprocess.run([SCRIPT, *arguments], env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"scripts/mongodb {arguments[0]}: {done.stderr.strip()}")
        return done.stdout.strip()

    def _gateway(self) -> list[int]:
        try:
            pid = int((self._folder / "gateway.pid").read_text())
            return [pid] if os.fsencode(self._folder) in Path(f"/proc/{pid}/cmdline").read_bytes() else []
        except (OSError, ValueError):
            return []

    def _postgres(self) -> list[int]:
        found = []
        for pid in psutil.pids():
            with suppress(OSError):
                if Path(f"/proc/{pid}/root").readlink() == self._folder / "chroot":
                    found.append(pid)
        return found

    def _postmaster(self) -> int | None:
        with suppress(OSError, ValueError, IndexError):
            return int((self._folder / "chroot/srv/mitorch/data/postmaster.pid").read_text().splitlines()[0])
        return None
