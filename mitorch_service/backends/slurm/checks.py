"""Checks a Slurm cluster's settings by real calls, which start nothing."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from mitorch_service.backends.optional import HealthCheck
from mitorch_service.backends.slurm.commands import SlurmCommands
from mitorch_service.backends.slurm.job_queue import JobQueue
from mitorch_service.cluster_settings.slurm_cluster import SlurmCluster
from mitorch_service.errors import BackendError
from mitorch_service.wording.counted import counted

_ROOM = 256 << 10  # bytes


class SlurmHealthCheck(HealthCheck):
    """Checks Slurm's answer, the partition, the shared folder, a job (sbatch --test-only) and the accounting."""

    def __init__(self, cluster: SlurmCluster, home: Path) -> None:
        self._cluster = cluster
        self._folder = home if cluster.folder is None else Path(cluster.folder)
        self._commands = SlurmCommands(cluster)
        self._queue = JobQueue(cluster, self._commands)

    def findings(self) -> Iterator[tuple[str, str | BackendError]]:
        version = self._ask(self._version)
        yield "Slurm", version
        yield "folder", self._ask(self._shared_folder)
        if isinstance(version, BackendError):
            return
        partition = self._ask(self._partition)
        yield "partition", partition
        if not isinstance(partition, BackendError):
            yield "job", self._ask(self._job)
        yield "accounting", self._ask(self._accounting)

    def _ask(self, step: Callable[[], str]) -> str | BackendError:
        try:
            return step()
        except BackendError as error:
            return error

    def _version(self) -> str:
        where = "" if self._cluster.ssh is None else f", through ssh {self._cluster.ssh}"
        version = self._commands.run("sinfo", "-V").strip()
        self._commands.run("squeue", "-h", "-o", "%i", "--name=mitorch-doctor")  # which asks slurmctld
        return f"{version}, as {self._commands.user()}{where}"

    def _partition(self) -> str:
        name = self._cluster.partition
        nodes = self._queue.nodes()
        if not nodes:
            known = sorted(set(self._commands.run("sinfo", "-h", "-o", "%R").split()))
            problem = "there is no default partition with a node that is up" if name is None else f"{name} has no node"
            remedy = f"Correct `partition`; there are: {', '.join(known) or 'none'}. See: sinfo"
            raise BackendError(self._cluster.name, f"{problem}, or none that is up", remedy)
        gpus = sorted({node.gpus for node in nodes})
        shown = " or ".join(map(str, gpus))
        return f"{name or 'the default one'}, {counted(len(nodes), 'node')} up with {shown} GPUs each"

    def _shared_folder(self) -> str:
        """Writes here. That nodes see it, is for the first run to show: doctor starts no job."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(prefix="mitorch-doctor-", dir=self._folder) as file:
                file.write(bytes(_ROOM))
                file.flush()
                os.fsync(file.fileno())
                name = file.name
                if self._cluster.ssh is not None:
                    self._commands.run("ls", name)
        except OSError as error:
            problem = f"{self._folder} cannot be written ({error.strerror or error})"
            raise BackendError(self._cluster.name, problem, "Mount it, make room, or name another `folder`.") from error
        except BackendError as error:
            problem = f"{self._cluster.ssh} does not see {self._folder} ({error.problem})"
            remedy = "Name in `folder` one that this machine and the cluster share under the same path."
            raise BackendError(self._cluster.name, problem, remedy) from error
        return f"{self._folder}, writable; nodes must see it under the same path"

    def _job(self) -> str:
        """Asks whether Slurm would take a job with these fields."""
        cluster = self._cluster
        gres = cluster.gres or (f"gpu:{cluster.gpus}" if cluster.gpus else None)
        wanted = {
            "partition": cluster.partition,
            "account": cluster.account,
            "qos": cluster.qos,
            "time": cluster.time,
            "gres": gres,
            "cpus-per-task": cluster.cpus,
        }
        options = [f"--{name}={value}" for name, value in wanted.items() if value is not None]
        self._commands.run("sbatch", "--test-only", *options, *cluster.options, stdin="#!/bin/sh\n")
        return "Slurm would take one with these fields"

    def _accounting(self) -> str:
        if self._queue.has_accounting():
            return "sacct answers"
        return "none: the exit files of runs tell how they ended; a job that vanishes is given up after 5 minutes"
