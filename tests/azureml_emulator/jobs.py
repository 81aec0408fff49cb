"""The processes of one run: really started, in groups of their own, on nodes that are folders."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

from tests.azureml_emulator import arm, identity, key_vault, snapshots
from tests.azureml_emulator.messages import Refusal
from tests.azureml_emulator.state import Azure, Run, Workspace


class ProcessJob:
    """Starts a run's processes, waits for all of them; when one fails the others are killed."""

    def __init__(self, azure: Azure, workspace: Workspace, run: Run) -> None:
        self._azure, self._workspace, self._run = azure, workspace, run
        self._processes: dict[int, subprocess.Popen[bytes]] = {}  # by rank
        self._lock = threading.Lock()
        self._stopped = False

    def execute(self) -> int:
        """Runs to the end; returns the first exit code that is not 0, negative for a signal. Raises Refusal or
        OSError where it cannot be started."""
        ended: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._start(ended)
        code = 0
        for _ in range(len(self._processes)):
            code = code or ended.get()
            if code != 0:
                self._signal(signal.SIGKILL)
        self._signal(signal.SIGKILL)  # whatever they left behind
        with self._lock:
            self._processes = {}  # their numbers may be used again
        return code

    def stop(self, grace: float) -> None:
        """SIGTERM, and SIGKILL after so many seconds."""
        with self._lock:
            self._stopped = True
        self._signal(signal.SIGTERM if grace > 0 else signal.SIGKILL)
        timer = threading.Timer(grace, self._signal, [signal.SIGKILL])
        timer.daemon = True
        timer.start()

    def _start(self, ended: queue.SimpleQueue[int]) -> None:
        spec, common = self._run.spec, self._environment()
        port = _free_port()
        for node in range(spec.nodes):
            snapshots.unpack(self._azure, self._workspace, self._run.snapshot_id, self._node_folder(node))
        for rank in range(spec.nodes * spec.processes_per_node):
            node, local = divmod(rank, spec.processes_per_node)
            environment = common | (self._ranks(rank, node, local, port) if spec.distributed else {})
            with self._lock:
                if self._stopped:
                    return
                process = self._spawn(node, environment | spec.environment, self._log(rank))
                self._processes[rank] = process
            threading.Thread(target=lambda p=process: ended.put(p.wait()), daemon=True).start()

    def _spawn(self, node: int, environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
        home = self._azure.folder / "homes" / self._run.id / str(node)
        for folder in (home, log.parent):
            folder.mkdir(parents=True, exist_ok=True)
        with log.open("ab", buffering=0) as stream:
            return subprocess.Popen(
                self._run.spec.command,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                cwd=self._node_folder(node),
                env={**environment, "HOME": str(home)},
                process_group=0,
            )

    def _environment(self) -> dict[str, str]:
        """Returns the variables that AzureML sets in every job, for the SDK's `Run.get_context`."""
        workspace, run = self._workspace, self._run
        return {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"]),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "OMP_NUM_THREADS": "1",  # several trainings share the cores of one machine here
            **self._azure.proxy_environment,
            **self._azure.settings.warm_runs,
            "MSI_ENDPOINT": self._azure.identity_endpoint,
            "MSI_SECRET": key_vault.SECRET,
            "DEFAULT_IDENTITY_CLIENT_ID": key_vault.CLIENT_ID,
            "AZUREML_RUN_ID": run.id,
            "AZUREML_EXPERIMENT_ID": workspace.experiments[run.experiment],
            "AZUREML_WORKSPACE_ID": workspace.id,
            "AZUREML_ARM_SUBSCRIPTION": workspace.subscription,
            "AZUREML_ARM_RESOURCEGROUP": workspace.group,
            "AZUREML_ARM_WORKSPACE_NAME": workspace.name,
            "AZUREML_ARM_PROJECT_NAME": run.experiment,
            "AZUREML_RUN_TOKEN": identity.issue_for_run(self._azure, workspace),
            "AZUREML_SERVICE_ENDPOINT": workspace.api,
            "AZUREML_DISCOVERY_SERVICE_ENDPOINT": arm.discovery_url(workspace),
            "AZUREML_RUN_HISTORY_SERVICE_ENDPOINT": workspace.api,
        }

    def _ranks(self, rank: int, node: int, local: int, port: int) -> dict[str, str]:
        """Returns the variables that torch.distributed reads."""
        spec = self._run.spec
        values = {
            "RANK": rank,
            "LOCAL_RANK": local,
            "NODE_RANK": node,
            "WORLD_SIZE": spec.nodes * spec.processes_per_node,
            "LOCAL_WORLD_SIZE": spec.processes_per_node,
            "MASTER_PORT": port,
            "AZUREML_NODE_COUNT": spec.nodes,
        }
        return {"MASTER_ADDR": "127.0.0.1", **{name: str(value) for name, value in values.items()}}

    def _log(self, rank: int) -> Path:
        name = f"std_log_process_{rank}.txt" if self._run.spec.distributed else "std_log.txt"
        return self._azure.run_folder(self._run) / "user_logs" / name

    def _node_folder(self, node: int) -> Path:
        return self._azure.run_folder(self._run) / "nodes" / str(node)

    def _signal(self, number: signal.Signals) -> None:
        with self._lock:
            groups = [process.pid for process in self._processes.values()]
        for group in groups:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, number)


def run_job(azure: Azure, workspace: Workspace, run: Run) -> tuple[int, dict[str, str] | None]:
    """Runs a job to its end; returns the exit code, and why it could not be started."""
    job = ProcessJob(azure, workspace, run)
    with azure.changed:
        run.job = job
        azure.changed.notify_all()
        if run.status != "Running" or azure.closing:  # canceled before it began
            job.stop(0)
    try:
        return job.execute(), None
    except (Refusal, OSError) as failure:
        return 1, {"code": "ServiceError", "message": f"The job could not be started: {failure}"}


def end_job(azure: Azure, run: Run, code: int, error: dict[str, str] | None) -> None:
    """Says how a run has ended, or queues it again."""
    run.job = None
    if run.status == "CancelRequested":
        azure.set_status(run, "Canceled")
    elif run.preempted == "requeue":
        run.preempted = None
        azure.set_status(run, "Queued")
    elif run.preempted == "fail":
        azure.set_status(run, "Failed", {"code": "UserError", "message": azure.settings.preemption_words})
    elif code == 0:
        azure.set_status(run, "Completed")
    else:
        azure.set_status(run, "Failed", error or {"code": "UserError", "message": _words(code)})


def _words(code: int) -> str:
    """How AzureML words an exit code."""
    return (
        f"Execution failed. User process '{sys.executable}' exited with status code {code}. "
        "Please check log file 'user_logs/std_log.txt' for error details."
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
