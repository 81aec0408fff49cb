"""Backends on the Slurm of the tests, and an end for everything that they start."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mitorch_service.backends.base import Backend, RunRequest
from mitorch_service.backends.slurm.backend import SlurmBackend
from mitorch_service.backends.slurm.batch_job import batch_script, sbatch_options
from mitorch_service.backends.slurm.run_folder import RunFolder
from mitorch_service.cluster_settings.slurm_cluster import SlurmCluster
from tests.contracts.backends.local_cluster import eventually

_SUBMIT = """
import sys, time
from pathlib import Path
from mitorch_service.backends.base import RunRequest
from mitorch_service.backends.slurm.backend import SlurmBackend
from mitorch_service.cluster_settings.slurm_cluster import SlurmCluster
home, config, gate, name, *command = sys.argv[1:]
backend = SlurmBackend(SlurmCluster.model_validate_json(config), Path(home), {})
end = time.monotonic() + 20
while gate and not Path(gate).exists() and time.monotonic() < end:
    time.sleep(0.001)
print(backend.submit(RunRequest(name, tuple(command))))
"""


class SlurmHome:
    """A shared folder with any number of backend objects on it, and an end for everything that they start."""

    def __init__(self, home: Path, name: str) -> None:
        """`name`: of the cluster in our settings, by which its jobs are counted: one for each test."""
        self.home = home
        self._name = name

    def config(self, **fields: Any) -> SlurmCluster:
        return SlurmCluster.model_validate({"kind": "slurm", "name": self._name, "gpus": 0, **fields})

    def backend(
        self,
        slots: int | None = 2,
        grace: float = 30.0,
        environment: Mapping[str, str] | None = None,
        *,
        missing_seconds: float = 300.0,
        command_seconds: float = 25.0,
        **fields: Any,
    ) -> Backend:
        """One more object for the same cluster: what another controller has."""
        return SlurmBackend(
            self.config(max_jobs=slots, **fields),
            self.home,
            environment or {},
            grace=grace,
            missing_seconds=missing_seconds,
            command_seconds=command_seconds,
        )

    def submit_elsewhere(self, request: RunRequest, processes: int = 1, slots: int = 2) -> list[str]:
        """Submits from other processes, all at the same moment, and waits for their end; returns what they say."""
        gate = self.home.parent / "submit-now"
        config = self.config(max_jobs=slots).model_dump_json()
        program = [sys.executable, "-c", _SUBMIT, str(self.home), config, str(gate), request.name]
        started = [
            subprocess.Popen([*program, *request.command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for _ in range(processes)
        ]
        gate.touch()
        answers = [process.communicate(timeout=60)[0].strip() for process in started]
        gate.unlink()
        return answers

    def submit_unseen(self, request: RunRequest) -> None:
        """Submits without a look at what is there: as a pass whose list of jobs was empty."""
        folder, config, comment = RunFolder(self.folder(request.name)), self.config(), f"mitorch:{self._name}"
        options = sbatch_options(config, request, folder, comment, 0)
        script = batch_script(config, request, folder, 0, 30.0)
        subprocess.run(["sbatch", *options], input=script, text=True, check=True, capture_output=True)

    def folder(self, name: str) -> Path:
        """Returns the folder of the run's files."""
        return self.home / "runs" / name

    def processes(self, name: str) -> tuple[int, int]:
        """The process ids of a started run: its supervisor's, and its own."""
        path = self.folder(name) / "process.json"
        eventually(path.exists)
        identity = json.loads(path.read_text())
        return int(identity["supervisor"][0]), int(identity["run"][0])

    def jobs(self, format: str = "%i|%j|%T") -> list[str]:
        """Returns the jobs of this cluster of ours that Slurm lists, active or not, in order."""
        text = slurm("squeue", "-h", "-t", "all", "-S", "i", "-o", f"%k#{format}")
        lines = [line.partition("#") for line in text.splitlines()]
        return [rest for comment, _, rest in lines if comment == f"mitorch:{self._name}"]

    def close(self) -> None:
        """Ends what is left, before the next test needs the nodes."""
        if left := self._unfinished():
            slurm("scancel", "--signal=KILL", "--full", *left)
            slurm("scancel", *left)
            eventually(lambda: not self._unfinished())

    def _unfinished(self) -> list[str]:
        lines = [line.split("|") for line in self.jobs()]
        return [id for id, _, state in lines if state in ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING")]


@contextmanager
def home_on(conf: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlurmHome]:
    """A home below the folder, on the Slurm of this slurm.conf."""
    monkeypatch.setenv("SLURM_CONF", conf)
    home = SlurmHome(folder / "home", f"t{abs(hash(str(folder))) % 10**9}")
    yield home
    home.close()


def slurm(*command: str) -> str:
    """Runs one of Slurm's commands; returns what it prints."""
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30).stdout
