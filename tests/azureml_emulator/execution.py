"""The execution service: submits and cancels runs."""

from __future__ import annotations

import sys
from typing import Any

from tests.azureml_emulator.history import experiment_id
from tests.azureml_emulator.messages import Refusal, Response, reply
from tests.azureml_emulator.router import Call, Routes
from tests.azureml_emulator.state import Azure, JobSpec, Run, Workspace

ROUTES = Routes("api")
_EXPERIMENT = "/execution/v1.0{WS}/experiments/{experiment}"


@ROUTES.add("submit", "POST", _EXPERIMENT + "/snapshotrun")
def submit(call: Call) -> Response:
    """A new run. A run id is used once: 409 for one that is there."""
    workspace, asked = call.workspace(), call.request.json()
    config = asked["Configuration"]
    run_id = call.request.query["runId"]
    snapshot = asked.get("SnapshotId")
    spec = _spec(config)
    with call.azure.changed:
        check(workspace, run_id, config["target"], snapshot, spec)
        run = Run(run_id, call.path["experiment"], len(workspace.runs) + 1, spec, asked, snapshot, config["target"])
        add(call.azure, workspace, run)
    return reply({"runId": run_id})


@ROUTES.add("cancel", "POST", _EXPERIMENT + "/runId/{run}/cancel")
def cancel_run(call: Call) -> Response:
    """Asks a run to end; one that has ended stays as it is."""
    run = call.run()
    cancel(call.azure, run)
    return reply({"runId": run.id})


def check(workspace: Workspace, run_id: str, target: str, snapshot: str | None, spec: JobSpec) -> None:
    """Refuses what cannot run here."""
    if run_id in workspace.runs:
        raise Refusal(409, "UserError", f"Conflict: run {run_id} already exists.")
    compute = workspace.computes.get(target)
    if compute is None:
        raise Refusal(400, "UserError", f"Unknown compute target '{target}'.")
    if spec.nodes > compute.max_nodes:
        raise Refusal(400, "UserError", f"NodeCount {spec.nodes} exceeds the cluster's maximum {compute.max_nodes}.")
    if snapshot is not None and snapshot not in workspace.snapshots:
        raise Refusal(400, "UserError", f"Snapshot {snapshot} was not found.")


def add(azure: Azure, workspace: Workspace, run: Run) -> None:
    """The run is in the queue from now on."""
    experiment_id(workspace, run.experiment)
    run.properties |= {"_azureml.ComputeTargetType": "amlctrain", "ContentSnapshotId": run.snapshot_id or ""}
    workspace.runs[run.id] = run
    azure.changed.notify_all()


def cancel(azure: Azure, run: Run) -> None:
    """A run that waits is canceled at once; of one that runs the processes are told to end."""
    with azure.changed:
        if run.status in ("Preparing", "Queued"):
            azure.set_status(run, "CancelRequested")
            azure.set_status(run, "Canceled")
        elif run.status == "Running":
            azure.set_status(run, "CancelRequested")
            if run.job is not None:
                run.job.stop(azure.settings.kill_grace)


def _spec(config: dict[str, Any]) -> JobSpec:
    """Returns the processes that the run configuration requests. PyTorch counts all processes, MPI those per node."""
    nodes = config.get("nodeCount") or 1
    communicator = (config.get("communicator") or "none").lower()
    if communicator in ("nccl", "gloo"):
        in_all = (config.get("pytorch") or {}).get("processCount") or nodes
        per_node = max(1, in_all // nodes)
    else:
        per_node = (config.get("mpi") or {}).get("processCountPerNode") or 1
    distributed = communicator != "none"
    environment = {name: str(value) for name, value in (config.get("environmentVariables") or {}).items()}
    return JobSpec(_command(config), environment, nodes, per_node if distributed else 1, distributed)


def _command(config: dict[str, Any]) -> tuple[str, ...]:
    """A script with its arguments under this interpreter, or a line for the shell."""
    command = config.get("command")
    if command:
        return ("/bin/sh", "-c", command if isinstance(command, str) else " ".join(command))
    return (sys.executable, str(config["script"]), *(str(argument) for argument in config.get("arguments") or []))
