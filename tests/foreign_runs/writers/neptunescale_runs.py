"""Writes runs with neptune-scale, offline, and reads them with its own repository of operations."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def write() -> None:
    from neptune_scale import Run

    quiet = {"mode": "offline", "project": "team/digits", "log_directory": "runs", "enable_console_log_capture": False}
    run = Run(run_id="r1", experiment_name="first größer", **quiet)
    run.log_configs({"parameters/lr": 0.001, "parameters/model/name": "resnet18", "parameters/flag": True})
    run.log_configs({"test/accuracy": 0.5, "sys/description": "a note\nüber"})
    run.add_tags(["base", "x=1", "gone"])
    run.remove_tags(["gone"])
    for step in range(5):
        more = {"val/loss": 2 / (step + 1)} if step % 2 == 0 else {}
        run.log_metrics({"train/loss": 1 / (step + 1), **more}, step=step * 10)
    run.log_metrics({"half": 2.0}, step=7.5)
    run.log_string_series({"text": "hello"}, step=1)
    run.close()
    run = Run(run_id="r2", **quiet)
    for step in range(6):
        run.log_metrics({"epoch": step // 2, "loss": 1 / (step + 1)}, step=step)
    run.close()


def read() -> dict[str, Any]:
    from neptune_api.proto.neptune_pb.ingest.v1 import common_pb2

    runs: dict[str, Any] = {}
    for file in sorted(Path("runs").rglob("*.sqlite3")):
        found: dict[str, Any] = {"metrics": {}}
        database = sqlite3.connect(file)
        for kind, message in operations(database):
            if kind == 1:
                created = common_pb2.Run()
                created.ParseFromString(message)
                found["name"] = created.experiment_id
            else:
                update = common_pb2.UpdateRunSnapshot()
                update.ParseFromString(message)
                for name, value in update.append.items():
                    if value.WhichOneof("value") == "float64":
                        step = update.step.whole + update.step.micro / 1e6
                        found["metrics"].setdefault(name, []).append([step, value.float64])
        runs[database.execute("SELECT run_id FROM metadata").fetchone()[0]] = found
        database.executescript("PRAGMA journal_mode = DELETE; VACUUM")
        database.close()
    return runs


def operations(database: sqlite3.Connection) -> Iterator[tuple[int, bytes]]:
    yield from database.execute("SELECT operation_type, operation FROM run_operations ORDER BY sequence_id")


def main(verb: str) -> None:
    from importlib.metadata import version

    if verb == "write":
        write()
    else:
        reader = f"messages of neptune-api {version('neptune-api')}"
        expected = {"package": f"neptune-scale {version('neptune-scale')}", "reader": reader, "runs": read()}
        Path("expected.json").write_text(json.dumps(expected))


if __name__ == "__main__":
    main(sys.argv[1])
