"""Jobs of the second SDK: the same runs, created by a PUT under their own name."""

from __future__ import annotations

from typing import Any

from tests.azureml_emulator import arm_assets, execution
from tests.azureml_emulator.messages import Refusal, Response, reply
from tests.azureml_emulator.router import Call, Routes
from tests.azureml_emulator.state import JobSpec, Run, Workspace

ROUTES = Routes("arm")


@ROUTES.add("job.create", "PUT", "{WS}/jobs/{run}")
def create(call: Call) -> Response:
    """A new job. The same request again gives the job that is there; another one is a conflict."""
    workspace, run_id, asked = call.workspace(), call.path["run"], call.request.json()["properties"]
    with call.azure.changed:
        known = workspace.runs.get(run_id)
        if known is not None:
            return _again(workspace, known, asked)
        spec, snapshot = _spec(asked), asked.get("codeId")
        target = (asked.get("computeId") or "").rpartition("/")[2]
        execution.check(workspace, run_id, target, snapshot, spec)
        experiment = asked.get("experimentName") or "Default"
        run = Run(run_id, experiment, len(workspace.runs) + 1, spec, {"Configuration": asked}, snapshot, target)
        run.tags = dict(asked.get("tags") or {})
        run.display_name, run.v2 = asked.get("displayName"), asked
        execution.add(call.azure, workspace, run)
    return reply(_document(workspace, run), 201)


@ROUTES.add("job.list", "GET", "{WS}/jobs")
def listing(call: Call) -> Response:
    """The jobs, newest first, in pages; with a tag ("name" or "name=value") where asked for."""
    workspace, query = call.workspace(), call.request.query
    with call.azure.changed:
        found = [run for run in reversed(workspace.runs.values()) if _has(run, query.get("tag"))]
        start, size = int(query.get("$skip") or 0), call.azure.settings.page_size
        value = [_document(workspace, run) for run in found[start : start + size]]
    more = start + size < len(found)
    tag = f"&tag={query['tag']}" if "tag" in query else ""
    link = f"https://management.azure.com{workspace.path}/jobs?$skip={start + size}{tag}" if more else None
    return reply({"value": value, "nextLink": link})


@ROUTES.add("job.get", "GET", "{WS}/jobs/{run}")
def get(call: Call) -> Response:
    """One job."""
    return reply(_document(call.workspace(), _run(call)))


@ROUTES.add("job.cancel", "POST", "{WS}/jobs/{run}/cancel")
def cancel(call: Call) -> Response:
    """Asks a job to end."""
    execution.cancel(call.azure, _run(call))
    return Response(200)


def _again(workspace: Workspace, run: Run, asked: dict[str, Any]) -> Response:
    if run.v2 is None or any(run.v2.get(name) != asked.get(name) for name in ("command", "codeId", "computeId")):
        raise Refusal(409, "Conflict", f"A job with the name {run.id} already exists and is another one.")
    run.tags |= asked.get("tags") or {}
    return reply(_document(workspace, run))


def _spec(asked: dict[str, Any]) -> JobSpec:
    if asked.get("jobType") != "Command":
        raise Refusal(400, "UserError", f"The emulator runs jobs of the type Command, not {asked.get('jobType')!r}.")
    distribution, resources = asked.get("distribution") or {}, asked.get("resources") or {}
    nodes, per_node = resources.get("instanceCount") or 1, distribution.get("processCountPerInstance") or 1
    environment = {name: str(value) for name, value in (asked.get("environmentVariables") or {}).items()}
    command = ("/bin/sh", "-c", asked["command"])
    return JobSpec(command, environment, nodes, per_node, bool(distribution))


def _document(workspace: Workspace, run: Run) -> dict[str, Any]:
    studio = {"jobServiceType": "Studio", "endpoint": f"https://ml.azure.com/runs/{run.id}?wsid={workspace.path}"}
    tracking = {"jobServiceType": "Tracking", "endpoint": f"azureml://{workspace.region}.api.azureml.ms/mlflow"}
    compute = f"{workspace.path}/computes/{run.target}"
    properties = {"jobType": "Command", "computeId": compute, "command": "", "environmentId": "", **(run.v2 or {})}
    properties |= {"status": run.status, "tags": run.tags, "displayName": run.display_name or run.id}
    properties |= {"experimentName": run.experiment, "properties": run.properties, "isArchived": False}
    properties["services"] = {"Studio": studio, "Tracking": tracking}
    return arm_assets.document(f"{workspace.path}/jobs/{run.id}", run.id, properties)


def _run(call: Call) -> Run:
    run = call.workspace().runs.get(call.path["run"])
    if run is None:
        raise Refusal(404, "NotFound", f"Job {call.path['run']} was not found.")
    return run


def _has(run: Run, tag: str | None) -> bool:
    if not tag:
        return True
    name, _, value = tag.partition("=")
    return name in run.tags and (not value or run.tags[name] == value)
