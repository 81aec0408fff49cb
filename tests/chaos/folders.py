"""The folder of one chaos run, and the environment of the processes in it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VARIABLE = "CHAOS_FOLDER"  # in the environment of all processes of a run, by which they are found
SLOTS = 3
# Sums of floating point numbers depend on the number of threads and on the device: the engine's runs and those that
# they are compared with have the same.
ALIKE = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
MAX_SILENCE = 30.0  # seconds; the settings allow 10, which a loaded machine may need to start a run


@dataclass(frozen=True)
class Folders:
    """The places of everything in a run's folder."""

    root: Path

    def __post_init__(self) -> None:
        for folder in (self.notes, self.temporary, self.logs, self.program):
            folder.mkdir(parents=True, exist_ok=True)

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def artifacts(self) -> Path:
        """The artifact store."""
        return self.home / "artifacts"

    @property
    def dataset(self) -> Path:
        """The data set of the engine's trainings."""
        return self.root / "dataset"

    def runs_of(self, training: str) -> list[Path]:
        """The folders of a training's runs, in the order of its attempts."""
        found = (self.home / "runs").glob(f"mt-{training}-a*")
        return sorted(found, key=lambda path: int(path.name.rpartition("-a")[2]))

    @property
    def notes(self) -> Path:
        """The scripts' notes."""
        return self.root / "notes"

    @property
    def temporary(self) -> Path:
        """TMPDIR."""
        return self.root / "tmp"

    @property
    def logs(self) -> Path:
        """The output of controllers and of the submitter."""
        return self.root / "logs"

    @property
    def program(self) -> Path:
        """The script's source, outside of any git repository."""
        return self.root / "program"

    def append(self, file_name: str, /, **facts: object) -> None:
        """Adds a line of JSON to a file, in one call."""
        with (self.root / file_name).open("ab", buffering=0) as file:
            file.write(json.dumps(facts).encode() + b"\n")

    def lines(self, name: str) -> Iterator[dict[str, Any]]:
        """Yields the lines of such a file; nothing if there is none."""
        path = self.root / name
        for line in path.read_text().splitlines() if path.exists() else ():
            yield json.loads(line)

    def environment(self, uri: str | None) -> dict[str, str]:
        """The variables of all processes of the run; `uri`: MongoDB's, None for SQLite."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MITORCH_")}
        cluster = {"name": "local", "kind": "local", "slots": SLOTS, "max_silence": MAX_SILENCE}
        return {
            **kept,
            **ALIKE,
            VARIABLE: str(self.root),
            "TMPDIR": str(self.temporary),
            "MITORCH_HOME": str(self.home),
            "MITORCH_CLUSTERS": json.dumps([cluster]),
            "PYTHONPATH": str(Path(__file__).parents[2]),
            **({} if uri is None else {"MITORCH_DB_URI": uri, "MITORCH_DB_NAME": "chaos"}),
        }
