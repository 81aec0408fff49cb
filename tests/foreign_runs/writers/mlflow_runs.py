"""Writes runs with mlflow into a SQLite file and into `mlruns`, and reads them again."""

from __future__ import annotations

import json
import math
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

ODD = [1.0, math.nan, math.inf, -math.inf, 2.0]
STORES = ("sqlite:///runs/mlflow.db", "runs/mlruns")


def write(uri: str) -> None:
    import mlflow

    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("digits ü")
    with mlflow.start_run(run_name="first größer", tags={"team": "vision"}, description="a note\nüber zwei Zeilen"):
        mlflow.log_params({"lr": 0.001, "model.name": "resnet18", "aug": {"flip": True}, "flag": True, "none": None})
        for step in range(5):
            mlflow.log_metrics({"train/loss": 1 / (step + 1), "odd": ODD[step]}, step=step * 10)
            if step % 2 == 0:
                mlflow.log_metric("val/loss", 2 / (step + 1), step=step * 10)
        mlflow.log_metric("system/cpu_utilization_percentage", 3.0)
    with mlflow.start_run(run_name="epochs"):
        for step in range(6):
            mlflow.log_metrics({"epoch": step // 2, "loss": 1 / (step + 1)}, step=step)
    try:
        with mlflow.start_run(run_name="failed"):
            mlflow.log_metric("loss", 1.0)
            raise KeyError("x")
    except KeyError:
        pass
    mlflow.start_run(run_name="open")
    mlflow.log_metric("loss", 1.0)
    os._exit(0)


def read(uri: str) -> dict[str, Any]:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(uri)
    runs = {}
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    for run in client.search_runs(experiments):
        history = {
            name: [[point.step, point.value] for point in client.get_metric_history(run.info.run_id, name)]
            for name in run.data.metrics
        }
        runs[run.info.run_id] = {
            "name": run.info.run_name,
            "status": run.info.status,
            "started": run.info.start_time / 1000,
            "metrics": history,
            "parameters": run.data.params,
            "finals": run.data.metrics,
        }
    return runs


def main(verb: str) -> None:
    import mlflow

    if verb == "write":
        Path("runs").mkdir()
        for uri in STORES:
            subprocess.run([sys.executable, __file__, uri], check=True)
        with sqlite3.connect("runs/mlflow.db", isolation_level=None) as database:
            database.execute("PRAGMA page_size = 1024")
            database.execute("VACUUM")
    elif verb == "read":
        runs = {uri.removeprefix("sqlite:///").removeprefix("runs/"): read(uri) for uri in STORES}
        expected = {"package": f"mlflow {mlflow.__version__}", "reader": "MlflowClient", "runs": runs}
        Path("expected.json").write_text(json.dumps(expected))
    else:
        write(verb)


main(sys.argv[1])
