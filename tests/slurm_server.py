"""The Slurm of the tests: two nodes on this machine, which `scripts/slurm` sets up once for all sessions."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parent.parent / "scripts" / "slurm"
_ENVIRONMENT = dict(os.environ)  # as it was before a test replaced HOME


class NoSlurm(Exception):
    """There is none; the message says how to get one."""


def start_slurm(*options: str) -> str:
    """Starts the cluster, if it does not run yet; returns the path of its slurm.conf. Raises NoSlurm."""
    started = subprocess.run([SCRIPT, "start", *options], capture_output=True, text=True, check=False, env=_ENVIRONMENT)
    if started.returncode != 0:
        reason = (started.stderr.strip().splitlines() or ["scripts/slurm start failed"])[-1]
        raise NoSlurm(f"the tests on Slurm are skipped: {reason}")
    return started.stdout.strip().partition("=")[2]
