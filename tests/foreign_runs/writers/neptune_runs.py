"""Writes runs with neptune, offline, and reads them with its own queue."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def write() -> None:
    import neptune

    quiet = {
        "capture_hardware_metrics": False, "capture_stdout": False, "capture_stderr": False, "source_files": [],
        "mode": "offline", "git_ref": False, "project": "team/digits",
    }  # fmt: skip
    run = neptune.init_run(name="first größer", description="a note\nüber", tags=["base", "x=1"], **quiet)
    run["parameters"] = {"lr": 0.001, "model": {"name": "resnet18"}, "flag": True}
    for step in range(5):
        run["train/loss"].append(1 / (step + 1), step=step * 10)
        run["odd"].append(float(step % 3))
        if step % 2 == 0:
            run["val/loss"].append(2 / (step + 1), step=step * 10)
    run["test/accuracy"] = 0.5
    run["log"].append("text")
    run.stop()
    run = neptune.init_run(**quiet)
    for step in range(6):
        run["epoch"].append(step // 2)
        run["loss"].append(1 / (step + 1))
    run["sys/failed"] = True
    run.stop()
    run = neptune.init_run(**{**quiet, "capture_hardware_metrics": True})
    run["loss"].append(1.0)
    run["monitoring/b/cpu"].append(3.0)
    run.stop()


def read() -> dict[str, Any]:
    from neptune.core.components.queue.disk_queue import DiskQueue
    from neptune.internal.operation import AssignString, LogFloats, Operation

    runs: dict[str, Any] = {}
    for metadata in sorted(Path("runs").rglob("metadata.json")):
        id = json.loads(metadata.read_text())["containerId"]
        queue = DiskQueue(
            data_path=metadata.parent,
            to_dict=lambda operation: operation.to_dict(),
            from_dict=Operation.from_dict,
            lock=__import__("threading").RLock(),
        )
        found: dict[str, Any] = {"name": None, "metrics": {}}
        while (element := queue.get()) is not None:
            operation = element.obj
            if isinstance(operation, LogFloats):
                points = found["metrics"].setdefault("/".join(operation.path), [])
                points += [[value.step, value.value] for value in operation.values]
            elif isinstance(operation, AssignString) and operation.path == ["sys", "name"]:
                found["name"] = operation.value
        runs[id] = found
    return runs


def main(verb: str) -> None:
    from neptune.version import version

    if verb == "write":
        Path("work").mkdir()
        subprocess.run([sys.executable, __file__, "inside"], check=True, cwd="work")
        Path("work/.neptune").rename("runs")
    elif verb == "inside":
        write()
    else:
        subprocess.run(["cp", "-r", "runs", "kept"], check=True)  # reading takes the operations out
        expected = {"package": f"neptune {version}", "reader": "DiskQueue", "runs": read()}
        Path("expected.json").write_text(json.dumps(expected))
        subprocess.run(["rm", "-r", "runs"], check=True)
        Path("kept").rename("runs")


main(sys.argv[1])
