"""The fixtures: runs that each system's package has written, and what its own reader says of them."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FIXTURES = ("tensorboard", "tensorboardx", "mlflow", "wandb", "trackio", "neptune", "neptunescale")


def unpack(name: str, folder: Path) -> Path:
    """Unpacks a fixture below the folder; returns where its runs are."""
    with tarfile.open(HERE / f"{name}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "runs"


def expected(name: str) -> Mapping[str, Any]:
    """Returns what the package's own reader says: runs by id, with the points of their metrics."""
    found: Mapping[str, Any] = json.loads((HERE / f"{name}.json").read_text("utf-8"))
    return found
