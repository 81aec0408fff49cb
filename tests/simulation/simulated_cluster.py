"""A cluster whose runs are simulated processes. Its view of them and the truth may differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from mitorch_service.backends.base import Backend, Capacity, RunRequest, RunStatus
from mitorch_service.backends.optional import LiveRun, RunListing
from mitorch_service.errors import BackendUnavailable, NoCapacity, RunRefused
from mitorch_service.models.attempts.run_state import RunState
from mitorch_service.models.training import Resources, run_name
from tests.samples import later
from tests.simulation.scheduler import Process, Scheduler
from tests.simulation.virtual_waiting import VirtualEvent

Result = TypeVar("Result")
GRACE = 30.0  # seconds from SIGTERM to SIGKILL
_BEGINS_AFTER = 5.0
_LIVE = (RunState.PENDING, RunState.RUNNING)


class RunProcess(Process):
    """The process of a run."""

    def __init__(self, scheduler: Scheduler, training_id: str, attempt: int, offset: float) -> None:
        super().__init__(f"run {training_id[:8]} a{attempt}", offset)
        self.training_id, self.attempt = training_id, attempt
        self.stop = VirtualEvent(scheduler)
        self.worker: str | None = None  # by which its writes are known, once it has started its training
        self.superseded_at: int | None = None  # its step when the store refused it
        self.step = 0
        self.ending = False  # whether it has begun to write its end
        self.code: int | None = None


@dataclass
class Run:
    """A run as its cluster sees it."""

    name: str
    state: RunState = RunState.PENDING
    reason: str | None = None
    code: int | None = None
    process: RunProcess | None = None
    processes: list[RunProcess] = field(default_factory=list)
    known: bool = True  # False: the cluster has forgotten it
    cancels: int = 0
    started: float = 0.0
    preempted: bool = False
    unsure_until: float = 0.0  # it reports a state that nobody knows

    def status(self, now: float) -> RunStatus | None:
        """Returns what its cluster says of it."""
        if not self.known:
            return None
        state = RunState.UNKNOWN if now < self.unsure_until else self.state
        return RunStatus(state, self.reason, self.code, preempted=self.preempted)

    def listed(self) -> LiveRun:
        """The run as its cluster lists it."""
        return LiveRun(self.name, since=later(self.started))

    @property
    def live(self) -> bool:
        """Whether the cluster says that it goes on."""
        return self.known and self.state in _LIVE


class SimulatedCluster:
    """The truth about one cluster."""

    def __init__(
        self, name: str, nodes: int, queues: bool, scheduler: Scheduler, execute: Callable[[Run], RunProcess]
    ) -> None:
        """`queues`: whether it takes more runs than it has nodes for. `execute` starts the process of a run."""
        self.name, self.nodes, self.queues = name, nodes, queues
        self._scheduler, self._execute = scheduler, execute
        self.runs: dict[str, Run] = {}
        self.starts: dict[str, int] = {}  # of each run name: at most one
        self.down_until = self.refuses_until = 0.0
        self.starts_twice = False  # a mutant's

    def submit(self, request: RunRequest) -> str:
        """Starts the run, once."""
        if request.name in self.runs and not self.starts_twice:
            return f"https://{self.name}/{request.name}"
        if self._scheduler.now < self.refuses_until:
            raise RunRefused(self.name, "not now", "Wait.")
        if not self.queues and self.free() < request.nodes:
            raise NoCapacity(self.name)
        self.starts[request.name] = self.starts.get(request.name, 0) + 1
        run = self.runs[request.name] = Run(request.name, started=self._scheduler.now)
        self._scheduler.after(_BEGINS_AFTER, lambda: self._begin(run))
        return f"https://{self.name}/{request.name}"

    def describe(self, names: Sequence[str]) -> dict[str, RunStatus | None]:
        """Returns what it knows of the runs."""
        found = {name: self.runs.get(name) for name in names}
        return {name: None if run is None else run.status(self._scheduler.now) for name, run in found.items()}

    def cancel(self, name: str) -> None:
        """Asks a run to end, and kills it after a grace period."""
        run = self.runs.get(name)
        if run is None or not run.live:
            return
        run.cancels += 1
        if run.state == RunState.PENDING or run.process is None:
            self.end(run, RunState.KILLED, "canceled before it began")
            return
        run.process.stop.set()
        self._scheduler.after(GRACE, lambda: self.evict(run, "it was killed by SIGKILL"))

    def evict(self, run: Run, reason: str = "the node is gone") -> None:
        """The process dies, and the cluster knows."""
        process = run.process
        if run.live:
            self.end(run, RunState.KILLED, reason)
        if process is not None:
            self._scheduler.kill(process)

    def cut(self, run: Run, seconds: float) -> None:
        """The process and its guard die with their node, and the cluster notices after some seconds."""
        if run.process is not None:
            run.process.on_end = lambda: None
            self._scheduler.kill(run.process)
            self._scheduler.after(seconds, lambda: self.evict(run))

    def restart(self, run: Run, dies: bool = True) -> None:
        """The process dies, or is believed to, and the cluster starts the same run again, as Azure ML does after a
        preemption."""
        if run.state != RunState.RUNNING or run.process is None:
            return
        process, run.process = run.process, None
        run.state = RunState.PENDING
        if dies:
            self._scheduler.kill(process)
        self._scheduler.after(_BEGINS_AFTER, lambda: self._begin(run))

    def end(self, run: Run, state: RunState, reason: str | None = None, code: int | None = None) -> None:
        """Sets what the cluster says of a run from now on."""
        run.state, run.reason, run.code = state, reason, code

    def free(self) -> int:
        """Nodes without a run."""
        return max(0, self.nodes - sum(run.live for run in self.runs.values()))

    def _begin(self, run: Run) -> None:
        if run.state != RunState.PENDING or not run.known:
            return
        if sum(one.state == RunState.RUNNING and one.live for one in self.runs.values()) >= self.nodes:
            self._scheduler.after(60.0, lambda: self._begin(run))
            return
        run.state = RunState.RUNNING
        process = run.process = self._execute(run)
        run.processes.append(process)
        process.on_end = lambda: self._ended(run, process)

    def _ended(self, run: Run, process: RunProcess) -> None:
        if run.process is not process or not run.live:
            return
        if process.code is None:
            self.end(run, RunState.KILLED, "it was killed by SIGKILL")
        elif process.code == 0:
            self.end(run, RunState.SUCCEEDED, code=0)
        else:
            reason = f"it ended with exit code {process.code}"
            self.end(run, RunState.FAILED, reason, process.code)


class ClusterClient(Backend, RunListing):
    """A cluster as a controller calls it: each call may fail, be late, or be the controller's last one."""

    def __init__(self, cluster: SimulatedCluster, scheduler: Scheduler, omits: Callable[[], bool]) -> None:
        """`omits`: whether the answer lacks a run this time."""
        self._cluster, self._scheduler, self._omits = cluster, scheduler, omits

    def prepare(self, training_id: str, attempt: int, resources: Resources | None = None) -> RunRequest:
        return RunRequest(run_name(training_id, attempt), ("mirun", training_id))

    def submit(self, request: RunRequest) -> str | None:
        return self._call(f"submit {request.name}", lambda: self._cluster.submit(request))

    def describe(self, names: Sequence[str]) -> dict[str, RunStatus | None]:
        if not names:
            return {}
        found = self._call("describe", lambda: self._cluster.describe(names))
        if self._omits():
            del found[names[0]]
        return found

    def cancel(self, name: str) -> None:
        self._call(f"cancel {name}", lambda: self._cluster.cancel(name))

    def logs(self, name: str, max_bytes: int = 65536) -> str:
        return self._call("logs", lambda: "")

    def capacity(self) -> Capacity:
        return self._call("capacity", lambda: Capacity(self._cluster.nodes, self._cluster.free()))

    def live_runs(self) -> list[LiveRun]:
        return self._call("list", lambda: [run.listed() for run in self._cluster.runs.values() if run.live])

    def _call(self, label: str, effect: Callable[[], Result]) -> Result:
        def failure() -> Exception:
            return BackendUnavailable(self._cluster.name, "it does not answer", "Wait.")

        def guarded() -> Result:
            if self._scheduler.now < self._cluster.down_until:
                raise failure()
            return effect()

        return self._scheduler.call(f"{self._cluster.name}: {label}", guarded, failure)


def call_in_turn(calls: Mapping[str, Callable[[], Result]], seconds: float, /) -> dict[str, Result | Exception]:
    """Calls the clusters one after the other, in place of `call_all`."""
    results: dict[str, Result | Exception] = {}
    for cluster, call in calls.items():
        try:
            results[cluster] = call()
        except Exception as error:  # noqa: BLE001 - as call_all does
            results[cluster] = error
    return results
