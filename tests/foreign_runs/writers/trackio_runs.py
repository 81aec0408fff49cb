"""Writes runs with trackio, and reads them again."""

from __future__ import annotations

import json
import math
import os
import sqlite3
import sys
from pathlib import Path
from typing import Any

ODD = [1.0, math.nan, math.inf, -math.inf, 2.0]
os.environ["TRACKIO_DIR"] = str(Path("runs").absolute())


def write() -> None:
    import trackio

    config = {"model": {"name": "resnet18", "layers": [1, 2]}, "lr": 0.001, "note": "größer"}
    trackio.init(project="digits", name="first größer", group="g", config=config)
    for step in range(5):
        more = {"val/loss": 2 / (step + 1)} if step % 2 == 0 else {}
        trackio.log({"train/loss": 1 / (step + 1), "odd": ODD[step], "nested": {"a": step}, **more}, step=step * 10)
    trackio.log({"text": "hello"})
    trackio.log_system({"gpu/util": 3})
    trackio.finish()
    trackio.init(project="digits", name="epochs")
    for step in range(6):
        trackio.log({"epoch": step // 2, "loss": 1 / (step + 1)})
    trackio.finish()


def read() -> dict[str, Any]:
    from trackio.sqlite_storage import SQLiteStorage

    runs = {}
    for record in SQLiteStorage.get_run_records("digits"):
        found: dict[str, Any] = {}
        for row in SQLiteStorage.get_logs("digits", record["name"], run_id=record["id"]):
            for name, value in row.items():
                if name not in ("timestamp", "step"):
                    found.setdefault(name, []).append([row["step"], value])
        config = SQLiteStorage.get_run_config("digits", record["name"], run_id=record["id"])
        runs[record["id"]] = {"name": record["name"], "metrics": found, "config": config}
    return runs


def main(verb: str) -> None:
    import trackio

    if verb == "write":
        Path("runs").mkdir()
        write()
        return
    from trackio.sqlite_storage import SQLiteStorage

    SQLiteStorage._dataset_import_attempted = True  # as where it has looked for its data on a hub
    SQLiteStorage.export_to_parquet()
    expected = {"package": f"trackio {trackio.__version__}", "reader": "SQLiteStorage", "runs": read()}
    Path("expected.json").write_text(json.dumps(expected))
    with sqlite3.connect("runs/digits.db", isolation_level=None) as database:
        database.execute("PRAGMA journal_mode = DELETE")
        database.execute("PRAGMA page_size = 1024")
        database.execute("VACUUM")


main(sys.argv[1])
