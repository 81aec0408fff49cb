"""The nodes of the clusters: started for what is queued, given to runs, ended when idle, preempted on command."""

from __future__ import annotations

import math
import threading
import time
import uuid

from tests.azureml_emulator.jobs import end_job, run_job
from tests.azureml_emulator.state import Azure, Compute, Node, Run, Workspace


class Scheduler:
    """One thread that looks whenever something has changed, or a time has come."""

    def __init__(self, azure: Azure) -> None:
        self._azure = azure
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        """Begins to schedule."""
        self._thread.start()

    def close(self) -> None:
        """Starts nothing more and kills what runs."""
        with self._azure.changed:
            self._azure.closing = True
            for run in self._azure.runs():
                if run.job is not None:
                    run.job.stop(0)
            self._azure.changed.notify_all()

    def _watch(self) -> None:
        with self._azure.changed:
            while not self._azure.closing:
                soonest = min((self._advance(w, c) for w, c in self._computes()), default=math.inf)
                self._azure.changed.wait(None if soonest == math.inf else max(0.0, soonest - time.monotonic()))

    def _computes(self) -> list[tuple[Workspace, Compute]]:
        return [(workspace, compute) for workspace in self._azure.workspaces for compute in workspace.computes.values()]

    def _advance(self, workspace: Workspace, compute: Compute) -> float:
        """Does what is due on one cluster; returns when to look again."""
        queued = self._queued(workspace, compute)
        self._start_nodes(compute, queued)
        for node in compute.nodes:
            if node.state == "preparing" and node.ready_at <= time.monotonic():
                node.state, node.idle_since = "idle", time.monotonic()
        for run in queued:
            idle = [node for node in compute.nodes if node.state == "idle"]
            if len(idle) < run.spec.nodes:
                break
            self._give(workspace, run, idle[: run.spec.nodes])
        return self._scale_down(compute)

    def _queued(self, workspace: Workspace, compute: Compute) -> list[Run]:
        """Returns the waiting runs, oldest first; none while runs are held or the cluster is not ready."""
        waiting = [run for run in workspace.runs.values() if run.target == compute.name and run.job is None]
        for run in waiting:
            if run.status == "Preparing":
                self._azure.set_status(run, "Queued")
        if self._azure.settings.hold or compute.state != "Succeeded":
            return []
        return [run for run in waiting if run.status == "Queued"]

    def _start_nodes(self, compute: Compute, queued: list[Run]) -> None:
        free = sum(node.state != "running" for node in compute.nodes)
        wanted = max(sum(run.spec.nodes for run in queued) - free, compute.min_nodes - len(compute.nodes))
        room = compute.max_nodes - compute.unusable - len(compute.nodes)
        for _ in range(min(wanted, room)):
            compute.preempted = max(0, compute.preempted - 1)
            compute.nodes.append(Node(uuid.uuid4().hex[:8], time.monotonic() + self._azure.settings.start_delay))

    def _give(self, workspace: Workspace, run: Run, nodes: list[Node]) -> None:
        for node in nodes:
            node.state, node.run_id = "running", run.id
        run.starts += 1
        self._azure.set_status(run, "Running")
        threading.Thread(target=self._work, args=(workspace, run, nodes), daemon=True).start()

    def _work(self, workspace: Workspace, run: Run, nodes: list[Node]) -> None:
        code, error = run_job(self._azure, workspace, run)
        with self._azure.changed:
            for node in nodes:
                node.state, node.run_id, node.idle_since = "idle", None, time.monotonic()
            end_job(self._azure, run, code, error)
            self._azure.changed.notify_all()

    def _scale_down(self, compute: Compute) -> float:
        """Ends nodes that were idle for long enough; returns when the next change of a node is due."""
        now = time.monotonic()
        spare = len(compute.nodes) - compute.min_nodes
        for node in [node for node in compute.nodes if node.state == "idle"][: max(0, spare)]:
            if node.idle_since + compute.idle_seconds <= now:
                compute.nodes.remove(node)
        due = [node.idle_since + compute.idle_seconds for node in compute.nodes if node.state == "idle"]
        due = due if len(compute.nodes) > compute.min_nodes else []
        return min(due + [node.ready_at for node in compute.nodes if node.state == "preparing"], default=math.inf)


def preempt(azure: Azure, run: Run, then: str = "requeue") -> None:
    """Takes one node away from a run: its processes are killed, and it is queued again, or fails. Raises ValueError
    where it does not run."""
    workspace, _ = azure.find_run(run.id)
    with azure.changed:
        azure.changed.wait_for(lambda: run.job is not None or run.status != "Running", timeout=10)
        if run.job is None or run.status != "Running":
            raise ValueError(f"run {run.id} is {run.status}: only one that runs can be preempted")
        compute = workspace.computes[run.target]
        lost = next(node for node in compute.nodes if node.run_id == run.id)
        compute.nodes.remove(lost)
        compute.preempted += 1
        run.preempted = then
        run.job.stop(0)
        azure.changed.notify_all()


def vanish(azure: Azure, run: Run) -> None:
    """From now on nobody knows the run, and its processes are gone."""
    workspace, _ = azure.find_run(run.id)
    with azure.changed:
        del workspace.runs[run.id]
        run.status = "CancelRequested"  # for the thread that may just begin it
        if run.job is not None:
            run.job.stop(0)
        azure.changed.notify_all()
