"""Writes runs with wandb, offline, and reads them with the last reader that it had in Python."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

ODD = [1.0, math.nan, math.inf, -math.inf, 2.0]


def write() -> None:
    import wandb

    config = {"model": {"name": "resnet18", "layers": [1, 2]}, "lr": 0.001, "opt.name": "sgd"}
    run = wandb.init(
        project="digits", name="first größer", notes="a note\nüber", tags=["base", "x=1"], group="g", config=config,
        dir="runs",
    )  # fmt: skip
    for step in range(5):
        more = {"val/loss": 2 / (step + 1)} if step % 2 == 0 else {}
        run.log({"train/loss": 1 / (step + 1), "odd": ODD[step], "nested": {"a": step}, **more}, step=step * 10)
    run.log({"text": "hello", "histogram": wandb.Histogram(np_histogram=([1, 2], [0, 1, 2]))})
    run.config.update({"late": True})
    run.summary["best"] = 0.5
    run.finish()
    run = wandb.init(project="digits", name="epochs", dir="runs")
    for step in range(6):
        run.log({"epoch": step // 2, "loss": 1 / (step + 1)})
    run.finish()
    run = wandb.init(project="digits", name="long", dir="runs")
    for step in range(300):  # more than a block of 32 kB
        run.log({"loss": 1 / (step + 1), "accuracy": step / 300})
    run.finish()
    run = wandb.init(project="digits", name="failed", dir="runs")
    run.log({"loss": 1.0})
    run.finish(exit_code=1)
    for rest in Path("runs").rglob("*"):
        if rest.is_file() and rest.suffix != ".wandb":
            rest.unlink()


def read() -> dict[str, Any]:
    import wandb
    from wandb.proto import wandb_internal_pb2

    wandb._set_internal_process(disable=True)
    from wandb.sdk.internal.datastore import DataStore

    runs: dict[str, Any] = {}
    for file in sorted(Path("runs").rglob("*.wandb")):
        store = DataStore()
        store.open_for_scan(str(file))
        found: dict[str, Any] = {"metrics": {}, "config": {}, "finals": {}, "status": None}
        while (data := store.scan_data()) is not None:
            record = wandb_internal_pb2.Record()
            record.ParseFromString(data)
            take(record, found)
        runs[found.pop("id")] = found
    return runs


def take(record: Any, found: dict[str, Any]) -> None:
    kind = record.WhichOneof("record_type")
    if kind == "run":
        found |= {"id": record.run.run_id, "name": record.run.display_name, "started": record.run.start_time.seconds}
        found["config"] |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
    elif kind == "config":
        found["config"] |= {
            item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in record.config.update
        }
    elif kind == "summary":
        found["finals"] |= {name(item): json.loads(item.value_json) for item in record.summary.update}
    elif kind == "exit":
        found["status"] = record.exit.exit_code
    elif kind == "history":
        for item in record.history.item:
            value = json.loads(item.value_json)
            found["metrics"].setdefault(name(item), []).append([record.history.step.num, value])


def name(item: Any) -> str:
    return item.key or "/".join(item.nested_key)


def main(verb: str) -> None:
    import wandb

    if verb == "write":
        Path("runs").mkdir()
        Path("version").write_text(wandb.__version__)
        write()
    else:
        expected = {
            "package": f"wandb {Path('version').read_text()}",
            "reader": f"DataStore of wandb {wandb.__version__}",
            "runs": read(),
        }
        Path("expected.json").write_text(json.dumps(expected))


main(sys.argv[1])
