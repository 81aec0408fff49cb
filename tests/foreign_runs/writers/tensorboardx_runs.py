"""Writes event files with tensorboardX, and reads them with TensorBoard's own reader."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path


def main(verb: str) -> None:
    spec = importlib.util.spec_from_file_location("torch_writer", Path(__file__).with_name("tensorboard_runs.py"))
    assert spec is not None and spec.loader is not None
    shared = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(shared)
    import tensorboardX

    if verb == "write":
        shared.write(tensorboardX.SummaryWriter, {})
        return
    expected = {
        "package": f"tensorboardX {tensorboardX.__version__}",
        "reader": "EventAccumulator",
        "runs": shared.read(),
    }
    Path("expected.json").write_text(json.dumps(expected))


main(sys.argv[1])
