"""The state of the emulated Azure: principals, workspaces, clusters, runs. One lock guards all of it."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from tests.azureml_emulator.blob_store import BlobStore

TERMINAL = ("Completed", "Failed", "Canceled")


@dataclass
class Principal:
    """Who may sign in: a service principal, or a person by password."""

    tenant: str
    id: str
    secret: str
    expired: bool = False  # the secret, not the token
    workspaces: list[str] | None = None  # the names of those that it may use; None is all
    reads_vaults: bool = True  # whether it has the role Key Vault Secrets User

    def may_use(self, workspace: Workspace) -> bool:
        """Whether it has a role there."""
        return self.workspaces is None or workspace.name in self.workspaces


@dataclass
class Token:
    """A bearer token that was given out; one for a run is good for its workspace only."""

    principal: Principal
    expires_at: float


@dataclass
class Node:
    """One machine of a cluster."""

    id: str
    ready_at: float
    state: str = "preparing"  # preparing, idle, running
    idle_since: float = 0.0
    run_id: str | None = None


@dataclass
class Compute:
    """A cluster (AmlCompute)."""

    name: str
    vm_size: str = "Standard_NC6s_v3"
    priority: str = "Dedicated"
    min_nodes: int = 0
    max_nodes: int = 4
    idle_seconds: float = 120.0
    description: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    state: str = "Succeeded"  # provisioning state
    error: str | None = None
    unusable: int = 0
    preempted: int = 0
    nodes: list[Node] = field(default_factory=list)


class Job(Protocol):
    """The processes of a run."""

    def stop(self, grace: float) -> None:
        """SIGTERM, and SIGKILL after so many seconds."""


@dataclass(frozen=True)
class JobSpec:
    """The command of a run, its nodes, and the processes on each."""

    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    nodes: int = 1
    processes_per_node: int = 1
    distributed: bool = False


@dataclass
class Run:
    """One submitted run, as run history shows it."""

    id: str
    experiment: str
    number: int
    spec: JobSpec
    definition: dict[str, Any]
    snapshot_id: str | None
    target: str
    status: str = "Preparing"
    display_name: str | None = None
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    started_at: datetime | None = None
    ended_at: datetime | None = None
    tags: dict[str, str] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)
    error: dict[str, str] | None = None  # code, message
    statuses: list[str] = field(default_factory=lambda: ["Preparing"])
    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)
    preempted: str | None = None  # what is to become of it: requeue or fail
    starts: int = 0
    job: Job | None = None  # its processes, while it runs
    v2: dict[str, Any] | None = None  # the job resource, where it was created through ARM


@dataclass
class Workspace:
    """One workspace with everything in it."""

    subscription: str
    group: str
    name: str
    region: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    computes: dict[str, Compute] = field(default_factory=dict)
    experiments: dict[str, str] = field(default_factory=dict)  # name → id
    runs: dict[str, Run] = field(default_factory=dict)
    snapshots: dict[str, dict[str, str]] = field(default_factory=dict)  # id → path → blob
    secrets: dict[str, str] = field(default_factory=dict)
    assets: dict[str, dict[str, Any]] = field(default_factory=dict)  # kind → name → documents
    quota: dict[str, int] = field(default_factory=lambda: {"Standard NCSv3 Family": 24})

    @property
    def path(self) -> str:
        """Its resource id."""
        group = f"/subscriptions/{self.subscription}/resourceGroups/{self.group}"
        return f"{group}/providers/Microsoft.MachineLearningServices/workspaces/{self.name}"

    @property
    def account(self) -> str:
        """Its storage account."""
        return f"st{self.id.replace('-', '')[:20]}"

    @property
    def api(self) -> str:
        """The address of its services."""
        return f"https://{self.region}.api.azureml.ms"


@dataclass
class Settings:
    """How the emulator behaves; each may be changed while it runs. Times in seconds."""

    latency: float = 0.0  # of every call
    start_delay: float = 0.0  # until a node is ready
    kill_grace: float = 5.0  # between SIGTERM and SIGKILL
    token_lifetime: float = 3600.0
    page_size: int = 100
    create_polls: int = 1  # how often the creation of a cluster answers "Creating"
    identity_reads_vaults: bool = True  # whether the computes' identity has that role
    hold: bool = False  # nothing that is queued starts
    history_lag: float = 0.0  # before run history shows a new run; the resource manager knows it at once
    preemption_words: str = "The node was preempted."  # of the error of a run that fails by it; they are nobody's API
    warm_runs: dict[str, str] = field(default_factory=dict)  # variables that have the runs forked (see `tests.warm`)


class Azure:
    """The whole of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.changed = threading.Condition(threading.RLock())
        self.settings = Settings()
        self.closing = False
        self.workspaces: list[Workspace] = []
        self.principals: list[Principal] = []
        self.tokens: dict[str, Token] = {}
        self.operations: dict[str, tuple[Workspace, str, int]] = {}  # id → workspace, cluster, polls left
        self.blobs = BlobStore(folder / "blobs")
        self.proxy_environment: dict[str, str] = {}  # what a job needs to reach us
        self.identity_endpoint = ""  # where a node gets tokens for its identity

    def workspace(self, subscription: str, group: str, name: str) -> Workspace | None:
        """The workspace of these names."""
        wanted = f"{subscription}/{group}/{name}".lower()
        return next((w for w in self.workspaces if f"{w.subscription}/{w.group}/{w.name}".lower() == wanted), None)

    def find_run(self, run_id: str) -> tuple[Workspace, Run]:
        """The run of this id in whatever workspace. Raises KeyError."""
        for workspace in self.workspaces:
            if run_id in workspace.runs:
                return workspace, workspace.runs[run_id]
        raise KeyError(run_id)

    def in_history(self, run: Run) -> bool:
        """Whether run history shows the run already."""
        return (datetime.now(UTC) - run.created_at).total_seconds() >= self.settings.history_lag

    def runs(self) -> Iterator[Run]:
        """All runs."""
        return (run for workspace in self.workspaces for run in workspace.runs.values())

    def set_status(self, run: Run, status: str, error: dict[str, str] | None = None) -> None:
        """Moves a run to a status, stamps the time and wakes who waits for it. A run that has ended stays so."""
        with self.changed:
            if run.status in TERMINAL:
                return
            run.status, run.error = status, error
            run.statuses.append(status)
            if status == "Running" and run.started_at is None:
                run.started_at = datetime.now(UTC)
            if status in TERMINAL:
                run.ended_at = datetime.now(UTC)
            self.changed.notify_all()

    def run_folder(self, run: Run) -> Path:
        """The folder of a run's logs and working directories."""
        return self.folder / "runs" / run.id

    def configure(self, **settings: Any) -> dict[str, Any]:
        """Changes settings; returns all of them."""
        for name, value in settings.items():
            if not hasattr(self.settings, name):
                raise KeyError(f"no setting {name!r}")
            setattr(self.settings, name, value)
        with self.changed:
            self.changed.notify_all()
        return asdict(self.settings)
