"""Run history: experiments and runs."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.azureml_emulator import identity
from tests.azureml_emulator.artifacts import log_urls
from tests.azureml_emulator.messages import Refusal, Response, reply
from tests.azureml_emulator.queries import matches, page
from tests.azureml_emulator.router import Call, Routes
from tests.azureml_emulator.run_documents import details_document, experiment_document, run_document
from tests.azureml_emulator.state import Workspace

ROUTES = Routes("api")
_EXPERIMENT = "/history/v1.0{WS}/experiments/{experiment}"
_BY_ID = "/history/v1.0{WS}/experimentids/{experiment_id}"


@ROUTES.add("experiment.get", "GET", _EXPERIMENT)
def experiment(call: Call) -> Response:
    """An experiment by its name."""
    workspace, name = call.workspace(), call.path["experiment"]
    if name not in workspace.experiments:
        raise Refusal(404, "UserError", f"Experiment {name} was not found.")
    return reply(experiment_document(name, workspace.experiments[name]))


@ROUTES.add("experiment.create", "POST", _EXPERIMENT)
def create_experiment(call: Call) -> Response:
    """A new experiment, or the one that is there."""
    workspace, name = call.workspace(), call.path["experiment"]
    return reply(experiment_document(name, experiment_id(workspace, name)))


@ROUTES.add("experiment.get_by_id", "GET", _BY_ID)
def experiment_by_id(call: Call) -> Response:
    """An experiment by its id."""
    name = _experiment_name(call)
    return reply(experiment_document(name, call.path["experiment_id"]))


@ROUTES.add("experiment.query", "POST", "/history/v1.0{WS}/experiments:query")
def experiments(call: Call) -> Response:
    """All experiments."""
    return reply({"value": [experiment_document(*item) for item in call.workspace().experiments.items()]})


@ROUTES.add("run.query", "POST", _EXPERIMENT + "/runs:query")
def query(call: Call) -> Response:
    """The runs of an experiment that fit a filter, in pages. An experiment that nobody created is not found."""
    workspace, asked, experiment = call.workspace(), call.request.json(), call.path["experiment"]
    if experiment not in workspace.experiments:
        raise Refusal(404, "UserError", f"Experiment {experiment} was not found.")
    with call.azure.changed:
        runs = [run for run in workspace.runs.values() if run.experiment == experiment and call.azure.in_history(run)]
        documents = [run_document(workspace, run) for run in runs]
    fitting = [document for document in documents if matches(asked.get("filter"), document)]
    return reply(page(fitting, asked, call.azure.settings.page_size))


@ROUTES.add("run.wait_for_metrics", "GET", _EXPERIMENT + "/runs/{run}/metricsingest/wait")
def wait_for_metrics(call: Call) -> Response:
    """Metrics are here as soon as they are posted."""
    call.run()
    return reply({})


@ROUTES.add("run.details", "GET", _EXPERIMENT + "/runs/{run}/details")
@ROUTES.add("run.details", "GET", "/history/v1.0{WS}/runs/{run}/details")
def details(call: Call) -> Response:
    """A run with the addresses of its logs."""
    workspace, run = call.workspace(), call.run()
    return reply(details_document(run, log_urls(call.azure, workspace, run)))


@ROUTES.add("run.token", "GET", _EXPERIMENT + "/runs/{run}/token")
@ROUTES.add("run.token", "GET", _BY_ID + "/runs/{run}/token")
def token(call: Call) -> Response:
    """A new token for the process of a run."""
    call.run()
    lifetime = timedelta(seconds=call.azure.settings.token_lifetime)
    given = identity.issue_for_run(call.azure, call.workspace(), lifetime.total_seconds())
    return reply({"token": given, "expiryTimeUtc": (datetime.now(UTC) + lifetime).isoformat()})


@ROUTES.add("run.get", "GET", _EXPERIMENT + "/runs/{run}")
@ROUTES.add("run.get", "GET", _BY_ID + "/runs/{run}")
@ROUTES.add("run.get", "GET", "/history/v1.0{WS}/runs/{run}")
def get(call: Call) -> Response:
    """A run."""
    return reply(run_document(call.workspace(), call.run()))


@ROUTES.add("run.data", "POST", "/history/v1.0{WS}/rundata")
def data(call: Call) -> Response:
    """A run, as the second SDK asks for it."""
    workspace = call.workspace()
    run = workspace.runs.get(call.request.json().get("runId"))
    if run is None:
        raise Refusal(404, "UserError", f"Run {call.request.json().get('runId')} was not found.")
    return reply({"runMetadata": {**run_document(workspace, run), "outputs": {}}})


@ROUTES.add("run.patch", "PATCH", _EXPERIMENT + "/runs/{run}")
@ROUTES.add("run.patch", "PATCH", _BY_ID + "/runs/{run}")
def patch(call: Call) -> Response:
    """Adds tags and properties. A property that is set stays as it is."""
    workspace, run, asked = call.workspace(), call.run(), call.request.json()
    with call.azure.changed:
        run.tags |= _texts(asked.get("tags"))
        run.properties = _texts(asked.get("properties")) | run.properties
        run.display_name = asked.get("displayName") or run.display_name
    return reply(run_document(workspace, run))


@ROUTES.add("run.delete_tags", "DELETE", _EXPERIMENT + "/runs/{run}/tags")
def delete_tags(call: Call) -> Response:
    """Removes tags."""
    run = call.run()
    with call.azure.changed:
        for name in call.request.json():
            run.tags.pop(name, None)
    return reply(run_document(call.workspace(), run))


@ROUTES.add("run.event", "POST", _EXPERIMENT + "/runs/{run}/events")
def event(call: Call) -> Response:
    """Records what a process reports about its own run; the state of a run is the cluster's business."""
    call.run()
    return reply({})


def experiment_id(workspace: Workspace, name: str) -> str:
    """The id of an experiment, which is created where there is none."""
    return workspace.experiments.setdefault(name, str(uuid.uuid4()))


def _experiment_name(call: Call) -> str:
    wanted = call.path["experiment_id"]
    for name, known in call.workspace().experiments.items():
        if known == wanted:
            return name
    raise Refusal(404, "UserError", f"Experiment {wanted} was not found.")


def _texts(values: dict[str, Any] | None) -> dict[str, str]:
    return {name: str(value) for name, value in (values or {}).items() if value is not None}
