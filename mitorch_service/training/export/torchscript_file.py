"""Writes and runs TorchScript files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from mitorch_service.training.export.onnx_file import Run
from mitorch_service.training.export.quiet_exporter import quiet


def write_torchscript(module: nn.Module, example: Tensor, path: Path, metadata: Mapping[str, str]) -> None:
    """Writes the module as it is traced on the example; each entry of the metadata is an extra file in it. Raises
    whatever tracing raises."""
    with torch.no_grad():
        traced = torch.jit.trace(module, (example,), check_trace=False)  # type: ignore[no-untyped-call]
    torch.jit.save(traced, path, _extra_files=dict(metadata))


def open_torchscript(path: Path) -> Run:
    """Opens a file by PyTorch, on the CPU."""
    with quiet():  # PyTorch calls it deprecated since 2.9
        module = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]

    def run(images: Tensor) -> list[Tensor]:
        with torch.no_grad():
            found: Tensor | tuple[Tensor, ...] = module(images)
        return [found] if isinstance(found, Tensor) else list(found)

    return run
