"""Clusters: read by the regional service, created and changed through ARM."""

from __future__ import annotations

import re
import uuid
from typing import Any

from tests.azureml_emulator import arm
from tests.azureml_emulator.messages import Refusal, Response, reply
from tests.azureml_emulator.router import Call, Routes
from tests.azureml_emulator.state import Azure, Compute, Workspace

ROUTES = Routes("api")
ARM = Routes("arm")


@ROUTES.add("compute.get", "GET", "/rp/workspaces{WS}/computes/{compute}")
@ARM.add("compute.get", "GET", "{WS}/computes/{compute}")
def get(call: Call) -> Response:
    """One cluster with the counts of its nodes."""
    return reply(_document(call.workspace(), _compute(call)))


@ROUTES.add("compute.list", "GET", "/rp/workspaces{WS}/computes")
@ARM.add("compute.list", "GET", "{WS}/computes")
def listing(call: Call) -> Response:
    """All clusters of a workspace."""
    workspace = call.workspace()
    return reply({"value": [_document(workspace, compute) for compute in workspace.computes.values()]})


@ARM.add("compute.create", "PUT", "{WS}/computes/{compute}")
def create(call: Call) -> Response:
    """Begins to create a cluster, or to change one."""
    workspace, name = call.workspace(), call.path["compute"]
    wanted = call.request.json()["properties"]
    with call.azure.changed:
        compute = workspace.computes.setdefault(name, Compute(name, state="Creating"))
        compute.description, compute.tags = wanted.get("description"), call.request.json().get("tags") or {}
        _change(compute, wanted.get("properties") or {})
        call.azure.changed.notify_all()
    return _begun(call, workspace, compute, 201)


@ARM.add("compute.update", "PATCH", "{WS}/computes/{compute}")
def update(call: Call) -> Response:
    """Changes a cluster's scale settings."""
    workspace, compute = call.workspace(), _compute(call)
    with call.azure.changed:
        _change(compute, call.request.json()["properties"].get("properties") or {})
        call.azure.changed.notify_all()
    return _begun(call, workspace, compute, 200)


@ARM.add("compute.delete", "DELETE", "{WS}/computes/{compute}")
def delete(call: Call) -> Response:
    """Deletes a cluster."""
    workspace, compute = call.workspace(), _compute(call)
    with call.azure.changed:
        del workspace.computes[compute.name]
    return _begun(call, workspace, compute, 202)


@ARM.add("compute.operation", "GET", "/subscriptions/{subscription}/operations/{operation}")
def operation(call: Call) -> Response:
    """How far the creation is: so often in progress, then done, or failed where the cluster is to fail."""
    with call.azure.changed:
        if call.path["operation"] not in call.azure.operations:
            raise Refusal(404, "NotFound", f"Operation {call.path['operation']} was not found.")
        workspace, name, polls = call.azure.operations[call.path["operation"]]
        call.azure.operations[call.path["operation"]] = workspace, name, polls - 1
        compute = workspace.computes.get(name)
        if polls > 0:
            return reply({"status": "InProgress"}, headers={"Retry-After": "1"})
        if compute is None:
            return reply({"status": "Succeeded"})
        if compute.error:
            compute.state = "Failed"
            return reply({"status": "Failed", "error": {"code": "BadRequest", "message": compute.error}})
        compute.state = "Succeeded"
        call.azure.changed.notify_all()
        return reply({"status": "Succeeded"})


def _begun(call: Call, workspace: Workspace, compute: Compute, status: int) -> Response:
    name = str(uuid.uuid4())
    call.azure.operations[name] = workspace, compute.name, call.azure.settings.create_polls
    url = f"https://{arm.HOST}/subscriptions/{workspace.subscription}/operations/{name}?api-version=2023-02-01"
    return reply(_document(workspace, compute), status, {"Azure-AsyncOperation": url})


def _change(compute: Compute, properties: dict[str, Any]) -> None:
    scale = properties.get("scaleSettings") or {}
    compute.vm_size = properties.get("vmSize", compute.vm_size)
    compute.priority = _priority(properties.get("vmPriority", compute.priority))
    compute.min_nodes = scale.get("minNodeCount", compute.min_nodes)
    compute.max_nodes = scale.get("maxNodeCount", compute.max_nodes)
    compute.idle_seconds = _seconds(scale.get("nodeIdleTimeBeforeScaleDown"), compute.idle_seconds)


def _compute(call: Call) -> Compute:
    name = call.path["compute"]
    found = call.workspace().computes.get(name)
    if found is None:
        raise Refusal(404, "ComputeNotFound", f"Compute {name} was not found.")
    return found


def find(azure: Azure, name: str) -> tuple[Workspace, Compute]:
    """The cluster of this name in whatever workspace. Raises KeyError."""
    for workspace in azure.workspaces:
        if name in workspace.computes:
            return workspace, workspace.computes[name]
    raise KeyError(name)


def _document(workspace: Workspace, compute: Compute) -> dict[str, Any]:
    errors = [{"error": {"code": "BadRequest", "message": compute.error}}] if compute.error else None
    return {
        "id": f"{workspace.path}/computes/{compute.name}",
        "name": compute.name,
        "type": "Microsoft.MachineLearningServices/workspaces/computes",
        "location": workspace.region,
        "tags": compute.tags,
        "properties": {
            "computeType": "AmlCompute",
            "computeLocation": workspace.region,
            "isAttachedCompute": False,
            "description": compute.description,
            "resourceId": None,
            "provisioningState": compute.state,
            "provisioningErrors": errors,
            "createdOn": "2026-01-01T00:00:00.000000+00:00",
            "modifiedOn": "2026-01-01T00:00:00.000000+00:00",
            "properties": _amlcompute(compute),
        },
    }


def _amlcompute(compute: Compute) -> dict[str, Any]:
    states = [node.state for node in compute.nodes]
    target = min(compute.max_nodes, len(states))
    return {
        "vmSize": compute.vm_size,
        "vmPriority": compute.priority,
        "scaleSettings": {
            "minNodeCount": compute.min_nodes,
            "maxNodeCount": compute.max_nodes,
            "nodeIdleTimeBeforeScaleDown": f"PT{compute.idle_seconds:g}S",
        },
        "subnet": None,
        "currentNodeCount": len(states) - states.count("preparing"),
        "targetNodeCount": target,
        "nodeStateCounts": {
            "preparingNodeCount": states.count("preparing"),
            "runningNodeCount": states.count("running"),
            "idleNodeCount": states.count("idle"),
            "unusableNodeCount": compute.unusable,
            "leavingNodeCount": 0,
            "preemptedNodeCount": compute.preempted,
        },
        "allocationState": "Resizing" if "preparing" in states else "Steady",
        "allocationStateTransitionTime": "2026-01-01T00:00:00.000000+00:00",
        "errors": None,
    }


def _priority(name: str) -> str:
    return "LowPriority" if name.lower() == "lowpriority" else "Dedicated"


def _seconds(duration: str | None, otherwise: float) -> float:
    """Seconds of an ISO 8601 duration."""
    match = re.fullmatch(r"P(?:(\d+)D)?T?(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?", duration or "")
    if match is None or not any(match.groups()):
        return otherwise
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return days * 86400 + hours * 3600 + minutes * 60 + seconds
