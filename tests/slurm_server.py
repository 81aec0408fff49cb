"""The Slurm of the tests: two nodes on this machine, which `scripts/slurm` sets up once for all sessions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.shared_server import NotStarted, shared

SCRIPT = Path(__file__).parent.parent / "scripts" / "slurm"


class NoSlurm(Exception):
    """There is none; the message says how to get one."""


@contextmanager
def running_slurm(*options: str) -> Iterator[str]:
    """The path of the slurm.conf of a cluster that runs meanwhile; its daemons that are away are started. Raises
    NoSlurm."""
    with ExitStack() as stack:
        try:
            said = stack.enter_context(shared(SCRIPT, *options))
        except NotStarted as error:
            raise NoSlurm(f"the tests on Slurm are skipped: {error}") from None
        yield said.partition("=")[2]
