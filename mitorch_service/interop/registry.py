"""The systems whose runs can be imported, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from mitorch_service.interop.foreign_run import FoundRun, ReadOptions

SYSTEMS = ("tensorboard", "mlflow", "wandb", "trackio", "neptune")  # each a room of this one


@dataclass(frozen=True)
class System:
    """The reader of one system's files."""

    name: str
    expected: str  # the files and folders that it reads
    find_runs: Callable[[Path, ReadOptions], Iterator[FoundRun]]


def open_system(name: str) -> System:
    """Returns the reader of one of SYSTEMS."""
    module = import_module(f"mitorch_service.interop.{name}.{name}")
    return System(name, module.EXPECTED, module.find_runs)
