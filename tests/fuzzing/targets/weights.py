"""Weights and checkpoints."""

from __future__ import annotations

import io
import tempfile
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import save

from mitorch_service.training.loop.checkpoints.checkpoint import read_state, write_state
from mitorch_service.training.networks.weights import read_weights, save_weights
from tests.fuzzing.target import Target

_STATE = {"conv.weight": torch.zeros(2, 3), "conv.bias": torch.ones(2)}


def _weights(suffix: str) -> object:
    def parse(content: bytes, folder: Path) -> None:
        (folder / f"w{suffix}").write_bytes(content)
        read_weights(folder / f"w{suffix}")

    return parse


def _checkpoint(content: bytes, folder: Path) -> None:
    (folder / "c").write_bytes(content)
    read_state(folder / "c")


@cache
def _files() -> dict[str, bytes]:
    old = io.BytesIO()
    torch.save(_STATE, old, _use_new_zipfile_serialization=False)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_weights(_STATE, folder / "w.pth")
        write_state({"network": _STATE, "epoch": 1}, folder / "c")
        return {"new": (folder / "w.pth").read_bytes(), "old": old.getvalue(), "state": (folder / "c").read_bytes()}


TARGETS = (
    Target("weights", _weights(".pth"), (_files()["new"], _files()["old"], save(_STATE))),  # type: ignore[arg-type]
    Target("checkpoint", _checkpoint, (_files()["state"],)),
)
