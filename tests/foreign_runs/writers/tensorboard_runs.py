"""Writes event files with the SummaryWriter of PyTorch, and reads them with TensorBoard's own reader."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

ODD = [1.0, math.nan, math.inf, -math.inf, 2.0]


def write(writer: Any, more: dict[str, Any]) -> None:
    """Writes two runs. `more`: for its `add_scalar`."""
    first = writer("runs/first größer")
    for step in range(5):
        first.add_scalar("train/loss", 1 / (step + 1), step * 10)
        first.add_scalar("odd", ODD[step], step * 10)
        if step % 2 == 0:
            first.add_scalar("val/loss", 2 / (step + 1), step * 10, **more)
    first.add_scalars("both", {"a": 1.0, "b": 2.0}, 30)
    first.add_text("text", "hello")
    first.add_hparams({"lr": 0.1, "model": "resnet", "flag": True}, {"hparam/acc": 0.5})
    first.close()
    epochs = writer("runs/group/epochs")
    for step in range(6):
        epochs.add_scalar("epoch", step // 2, step)
        epochs.add_scalar("loss", 1 / (step + 1), step)
    epochs.close()
    resumed = writer("runs/resumed")
    for step in range(4):
        resumed.add_scalar("loss", 1.0, step)
    resumed.close()
    resumed = writer("runs/resumed", purge_step=2, filename_suffix=".later")
    for step in range(2, 5):
        resumed.add_scalar("loss", 2.0, step)
    resumed.close()
    writer("runs/empty").close()


def read() -> dict[str, Any]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    runs = {}
    for folder in sorted({file.parent for file in Path("runs").rglob("*tfevents*")}):
        reader = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
        reader.Reload()
        metrics = {
            tag: [[event.step, event.value] for event in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]
        }
        for tag in reader.Tags()["tensors"]:
            values = [[event.step, tensor_util.make_ndarray(event.tensor_proto)] for event in reader.Tensors(tag)]
            if all(value.dtype.kind == "f" and value.size == 1 for _, value in values):
                metrics[tag] = [[step, float(value)] for step, value in values]
        runs[folder.relative_to("runs").as_posix()] = {"metrics": metrics}
    return runs


def main(verb: str) -> None:
    import tensorboard
    import torch
    from torch.utils.tensorboard import SummaryWriter

    if verb == "write":
        write(SummaryWriter, {"new_style": True})
        return
    reader = f"EventAccumulator of tensorboard {tensorboard.__version__}"
    expected = {"package": f"torch {torch.__version__}", "reader": reader, "runs": read()}
    Path("expected.json").write_text(json.dumps(expected))


if __name__ == "__main__":
    main(sys.argv[1])
