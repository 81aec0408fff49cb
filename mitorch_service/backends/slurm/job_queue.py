"""Reads Slurm's queue (squeue), its nodes (sinfo) and its accounting (sacct), in formats that every version has."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mitorch_service.backends.slurm.commands import SlurmCommands
from mitorch_service.backends.slurm.states import ENDED, state_of
from mitorch_service.cluster_settings.slurm_cluster import SlurmCluster, count_in, gpus_in
from mitorch_service.errors import BackendError, BackendUnavailable
from mitorch_service.models.attempts.run_state import RunState

_COMMENT = "mitorch:"
_NAMES_A_CALL = 500
_FORMAT = "%i|%T|%D|%r|%V|%S|%j|%k"  # %j and %k last: other people's may contain the separator
_OUT_OF_ORDER = re.compile(r"down|drain|fail|inval|maint|no_respond|unk|error|\*", re.IGNORECASE)
_CLOCKS = timedelta(days=1)  # by which the clocks and time zones of the hosts may differ

log = logging.getLogger("mitorch")


@dataclass(frozen=True)
class Job:
    """A job as Slurm lists it."""

    id: str
    name: str
    state: str  # Slurm's word
    reason: str = ""  # why it waits
    nodes: int = 1
    comment: str = ""
    exit_code: str = ""
    since: datetime | None = None  # when it was submitted, or has started

    @property
    def is_active(self) -> bool:
        return state_of(self.state) not in ENDED

    @property
    def is_waiting(self) -> bool:
        return state_of(self.state) == RunState.PENDING


@dataclass(frozen=True)
class SlurmNode:
    """A node of the partition that is up."""

    name: str
    gpus: int
    cpus: int


class JobQueue:
    """Reads our jobs and the nodes. Everything raises BackendUnavailable, BackendError."""

    def __init__(self, cluster: SlurmCluster, commands: SlurmCommands) -> None:
        self._cluster = cluster
        self._commands = commands
        self._has_accounting = True  # until Slurm says otherwise

    @property
    def comment(self) -> str:
        """The comment of the jobs of this cluster of ours, by which they are counted."""
        return f"{_COMMENT}{self._cluster.name}"

    def jobs_named(self, names: Sequence[str]) -> dict[str, list[Job]]:
        """Returns the jobs by name, oldest first: those that are active, and for some minutes those that have ended."""
        found: dict[str, list[Job]] = {}
        for start in range(0, len(names), _NAMES_A_CALL):
            some = ",".join(names[start : start + _NAMES_A_CALL])
            for job in self._squeue("-t", "all", f"--name={some}"):
                if job.comment == self.comment or not job.comment.startswith(_COMMENT):  # some sites write their own
                    found.setdefault(job.name, []).append(job)
        return {name: sorted(jobs, key=lambda job: _number(job.id)) for name, jobs in found.items()}

    def our_jobs(self) -> list[Job]:
        """Returns the active jobs of this cluster of ours."""
        jobs = self._squeue(f"--user={self._commands.user()}")
        return [job for job in jobs if job.comment == self.comment and job.is_active]

    def last_rows(self, names: Sequence[str], since: datetime) -> dict[str, Job]:
        """Returns the last row of the accounting for each name that it has; none without accounting."""
        if not self._has_accounting or not names:
            return {}
        start = (since - _CLOCKS).strftime("%Y-%m-%dT%H:%M:%S")
        program = ("sacct", "-n", "-P", "-X", "-D", "-S", start, "-o", "JobID,JobName,State,ExitCode")
        try:
            text = self._commands.run(*program, f"--name={','.join(names)}")
        except BackendUnavailable:
            raise
        except BackendError as error:
            log.info("%s: the exit files of runs tell how they ended", error.problem)
            self._has_accounting = False
            return {}
        rows = (line.split("|") for line in text.splitlines())
        jobs = [Job(row[0], row[1], row[2], exit_code=row[3]) for row in rows if len(row) == 4]
        return {job.name: job for job in jobs if job.name in names}  # of several the last

    def has_accounting(self) -> bool:
        """Whether sacct answers."""
        try:
            self._commands.run("sacct", "-n", "-X", "-o", "JobID", "--name=mitorch-doctor")
        except BackendUnavailable:
            raise
        except BackendError:
            return False
        return True

    def nodes(self) -> list[SlurmNode]:
        """Returns the nodes of the partition that are up, whether busy or not."""
        partition = self._cluster.partition
        chosen = () if partition is None else (f"--partition={partition}",)
        text = self._commands.run("sinfo", "-h", "-N", *chosen, "-o", "%N|%T|%c|%P|%G")
        found = {}
        for line in text.splitlines():
            fields = line.strip().split("|", 4)
            if len(fields) < 5:  # what a login shell prints before
                continue
            name, state, cpus, of, gres = fields
            if (partition is not None or of.endswith("*")) and not _OUT_OF_ORDER.search(state):
                found[name] = SlurmNode(name, gpus_in(gres), count_in(cpus))
        return list(found.values())

    def _squeue(self, *options: str) -> Iterator[Job]:
        text = self._commands.run("squeue", "-h", *options, "-o", _FORMAT)
        for line in text.splitlines():
            fields = line.strip().split("|", 7)
            if len(fields) == 8:
                id, state, nodes, reason, submitted, started, name, comment = fields
                since = self._time(submitted if state_of(state) == RunState.PENDING else started)
                yield Job(id, name, state, reason, count_in(nodes), comment, since=since)

    def _time(self, text: str) -> datetime | None:
        """The time that Slurm writes without its zone: that of this machine, unknown through ssh."""
        if self._cluster.ssh is not None:
            return None
        try:
            return datetime.fromisoformat(text).astimezone(UTC)
        except (ValueError, OverflowError):  # N/A, or the year 1
            return None


def _number(id: str) -> int:
    digits = re.match(r"[0-9]{1,18}", id)
    return int(digits.group()) if digits else 0
