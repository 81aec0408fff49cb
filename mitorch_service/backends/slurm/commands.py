"""Runs Slurm's own commands, here or through OpenSSH, each with a time limit, and translates what goes wrong."""

from __future__ import annotations

import getpass
import os
import re
import shlex
import subprocess
import threading
from collections.abc import Iterable, Sequence

from mitorch_service.cluster_settings.slurm_cluster import SlurmCluster
from mitorch_service.errors import BackendError, BackendUnavailable, NoCapacity, RunRefused
from mitorch_service.models.secrets import mask_secrets

SECONDS = 25.0  # for one command; Slurm's own tools wait longer for a slurmctld that is busy
_CONNECT_SECONDS = 10
_SSH_FAILED = 255  # OpenSSH's exit code for its own errors
_LONGEST = 400  # characters of an error
# Said by a controller that is away, restarting or overloaded: the same call may succeed later.
_TRANSIENT = re.compile(
    r"unable to contact slurm controller|unable to contact the slurm|connection (refused|reset|timed out)"
    r"|socket timed out|temporarily (unable|unavailable)|zero bytes were transmitted|communication connection failure"
    r"|transport endpoint|insane message length|unexpected message received|in standby mode|try again|resource busy"
    r"|munged? |credential (expired|replayed)|slurm_persist_conn|no route to host|network is unreachable",
    re.IGNORECASE,
)
_LIMIT = re.compile(r"MaxSubmit|QOSMaxSubmit|AssocMaxSubmit|job count limit|too many jobs", re.IGNORECASE)
_OF_REQUEST = re.compile(
    r"requested node configuration|node count|more processors requested|cpu count|memory specification"
    r"|generic resource",
    re.IGNORECASE,
)


class SlurmCommands:
    """The command line of one Slurm cluster."""

    def __init__(self, cluster: SlurmCluster, hidden: Iterable[str] = (), seconds: float = SECONDS) -> None:
        """`hidden`: variables of this process that neither Slurm nor its jobs must see."""
        self._cluster = cluster
        self._hidden = frozenset(hidden)
        self._seconds = seconds
        self._user: str | None = None
        self._lock = threading.Lock()

    def run(self, *command: str, stdin: str = "") -> str:
        """Returns what the command prints. Raises BackendUnavailable, BackendError."""
        try:
            done = self._call(command, stdin)
        except FileNotFoundError as error:
            raise self._missing(str(error.filename)) from error
        except subprocess.TimeoutExpired as error:
            problem = f"{command[0]} has not answered within {self._seconds:g} s"
            raise BackendUnavailable(self._cluster.name, problem, "Retrying in the next pass.") from error
        except OSError as error:  # no process or no memory left
            raise BackendUnavailable(
                self._cluster.name, f"{command[0]}: {error.strerror}", "Retrying later."
            ) from error
        if done.returncode != 0:
            raise self._error(command[0], done.returncode, done.stderr or done.stdout)
        return done.stdout

    def user(self) -> str:
        """Returns the name of the user whose jobs ours are."""
        if self._cluster.ssh is None:
            return getpass.getuser()
        with self._lock:
            if self._user is None:
                self._user = self.run("id", "-un").strip()
            return self._user

    def _call(self, command: Sequence[str], stdin: str) -> subprocess.CompletedProcess[str]:
        program = list(command)
        if self._cluster.ssh is not None:
            options = ["-o", "BatchMode=yes", "-o", f"ConnectTimeout={_CONNECT_SECONDS}"]
            program = ["ssh", *options, self._cluster.ssh, "--", shlex.join(command)]
        return subprocess.run(
            program,
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=self._seconds,
            check=False,
            env=self._environment(),
        )

    def _environment(self) -> dict[str, str]:
        """This process's environment without our settings, and without what Slurm set if this is a job itself: a job
        would take its resources for its own."""
        return {
            name: value
            for name, value in os.environ.items()
            if name not in self._hidden
            and not name.startswith("MITORCH_")
            and (not name.startswith("SLURM_") or name == "SLURM_CONF")
        }

    def _error(self, program: str, code: int, output: str) -> BackendError:
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        words = mask_secrets("; ".join(lines))[:_LONGEST] or f"exit code {code}"
        name = self._cluster.name
        if self._cluster.ssh is not None and code == _SSH_FAILED:
            problem = f"{self._cluster.ssh} cannot be reached through ssh ({words})"
            return BackendUnavailable(name, problem, f"Try: ssh -o BatchMode=yes {self._cluster.ssh} squeue")
        if code == 127 and self._cluster.ssh is not None:
            return self._missing(program)
        if _TRANSIENT.search(words):
            return BackendUnavailable(name, f"{program}: {words}", "Retrying in the next pass.")
        if program != "sbatch":
            return BackendError(name, f"{program}: {words}", "Check the fields of this cluster in MITORCH_CLUSTERS.")
        if _LIMIT.search(words):
            return NoCapacity(name)
        remedy = "Correct the fields of this cluster in MITORCH_CLUSTERS, or the resources of the config."
        return RunRefused(name, f"sbatch refuses the job: {words}", remedy, bool(_OF_REQUEST.search(words)))

    def _missing(self, program: str) -> BackendError:
        where = "on this machine" if self._cluster.ssh is None else f"on {self._cluster.ssh}"
        remedy = "Put Slurm's commands on the PATH, or name a login node in the cluster's field ssh."
        return BackendError(self._cluster.name, f"{program} is not installed {where}", remedy)
