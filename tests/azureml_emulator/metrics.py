"""The metrics of runs (metric service, version 2, and MLflow's protocol)."""

from __future__ import annotations

from typing import Any

from tests.azureml_emulator.messages import Refusal, Response, reply
from tests.azureml_emulator.router import Call, Routes

ROUTES = Routes("api")
_RUN = "/metric/v2.0{WS}/runs/{run}"


@ROUTES.add("metrics.post", "POST", _RUN + "/batch")
def post(call: Call) -> Response:
    """Adds values. A value whose id is known is not added again."""
    run = call.run()
    with call.azure.changed:
        for metric in call.request.json()["values"]:
            known: dict[str, Any] = run.metrics.setdefault(metric["name"], {**metric, "value": []})
            ids = {value["metricId"] for value in known["value"]}
            known["value"] += [value for value in metric["value"] if value["metricId"] not in ids]
        call.azure.changed.notify_all()
    return reply({"errors": []})


@ROUTES.add("metrics.log_batch", "POST", "/mlflow/v1.0{WS}/api/2.0/mlflow/runs/log-batch")
def log_batch(call: Call) -> Response:
    """Adds values by the protocol of MLflow."""
    workspace, asked = call.workspace(), call.request.json()
    run = workspace.runs.get(asked["run_id"])
    if run is None:
        raise Refusal(404, "RESOURCE_DOES_NOT_EXIST", f"Run {asked['run_id']} was not found.")
    with call.azure.changed:
        for metric in asked["metrics"]:
            known = run.metrics.setdefault(metric["key"], {"name": metric["key"], "value": []})
            known["value"].append({"metricId": "", "step": metric["step"], "data": {metric["key"]: metric["value"]}})
        call.azure.changed.notify_all()
    return reply({})


@ROUTES.add("metrics.list", "POST", _RUN + "/list")
def listing(call: Call) -> Response:
    """The names of a run's metrics."""
    names = [
        {"metricKey": {"namespace": None, "name": name}, "columns": metric.get("columns")}
        for name, metric in call.run().metrics.items()
    ]
    return reply({"value": names, "continuationToken": None})


@ROUTES.add("metrics.get", "POST", _RUN + "/full")
def full(call: Call) -> Response:
    """All values of one metric."""
    name = call.request.json()["metricName"]
    if name not in call.run().metrics:
        raise Refusal(404, "UserError", f"Metric {name} was not found.")
    return reply({**call.run().metrics[name], "continuationToken": None})
