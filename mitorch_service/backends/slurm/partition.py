"""The nodes of a partition that our jobs may have at the same time."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mitorch_service.backends.base import Capacity
from mitorch_service.backends.slurm.job_queue import Job, JobQueue, SlurmNode
from mitorch_service.cluster_settings.slurm_cluster import SlurmCluster

# Slurm's reasons for which no further job of this user or account would start before one of them has ended.
_LIMIT = re.compile(r"^(QOS|Assoc|MaxJobs|MaxCpu|MaxMem|MaxNode|Max.*Per(Account|User))", re.IGNORECASE)


class Partition:
    """Counts in nodes of trainings: what one job asks of one of Slurm's nodes."""

    def __init__(self, cluster: SlurmCluster, queue: JobQueue) -> None:
        self._cluster = cluster
        self._queue = queue
        self._node_gpus: int | None = None

    def capacity(self, ours: Sequence[Job]) -> Capacity:
        """Returns how many nodes our trainings may have, and how many more now; `ours`: our active jobs. Of those that
        wait for a limit of the user or account, no more are submitted."""
        nodes = self._queue.nodes()
        self._node_gpus = _least_gpus(nodes)
        total = self._cluster.max_jobs
        if total is None:
            total = sum(self._places(node) for node in nodes)
        used = sum(job.nodes for job in ours)
        at_limit = any(job.is_waiting and _LIMIT.match(job.reason) for job in ours)
        most_gpus = max((node.gpus for node in nodes), default=0)
        return Capacity(total, 0 if at_limit else max(0, total - used), most_gpus)

    def room(self, ours: Sequence[Job]) -> int | None:
        """Returns how many more nodes `max_jobs` allows; None: Slurm's queue takes any number."""
        most = self._cluster.max_jobs
        return None if most is None else max(0, most - sum(job.nodes for job in ours))

    def node_gpus(self) -> int:
        """Returns the GPUs that every node has, which a job asks for if nothing else says how many."""
        if self._node_gpus is None:
            self._node_gpus = _least_gpus(self._queue.nodes())
        return self._node_gpus

    def _places(self, node: SlurmNode) -> int:
        """The trainings that a node can hold at a time."""
        asked = self._cluster.asked_gpus()
        gpus = node.gpus if asked is None else asked
        by_cpus = node.cpus // self._cluster.cpus if self._cluster.cpus is not None else None
        if gpus:
            by_gpus = node.gpus // gpus
            return by_gpus if by_cpus is None else min(by_gpus, by_cpus)
        return 1 if by_cpus is None else by_cpus


def _least_gpus(nodes: Sequence[SlurmNode]) -> int:
    return min((node.gpus for node in nodes), default=0)
