"""Slurm's commands without a Slurm: answers that a test sets, and the calls that were made."""

from __future__ import annotations

from mitorch_service.backends.slurm.commands import SlurmCommands
from mitorch_service.cluster_settings.slurm_cluster import SlurmCluster
from mitorch_service.errors import BackendError

CLUSTER = SlurmCluster(kind="slurm", name="lab")


class FakeSlurm(SlurmCommands):
    """Answers each program with a text or an error; nothing by default."""

    def __init__(self, cluster: SlurmCluster = CLUSTER) -> None:
        super().__init__(cluster)
        self.answers: dict[str, str | BackendError] = {}
        self.calls: list[tuple[str, ...]] = []

    def run(self, *command: str, stdin: str = "") -> str:
        self.calls.append(command)
        answer = self.answers.get(command[0], "")
        if isinstance(answer, BackendError):
            raise answer
        return answer

    def user(self) -> str:
        return "me"

    def programs(self) -> list[str]:
        """The programs that were called, in order."""
        return [call[0] for call in self.calls]
