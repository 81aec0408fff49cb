"""Writes and runs ONNX files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mitorch_service.errors import MissingExtra
from mitorch_service.training.export.portable_modules import INPUT

Run = Callable[[Tensor], list[Tensor]]
_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def check_packages() -> None:
    """Raises MissingExtra unless everything that writes and checks ONNX is installed."""
    import importlib.util

    for name in _PACKAGES:
        if importlib.util.find_spec(name) is None:
            raise MissingExtra(name, "export")


def write_onnx(
    module: nn.Module,
    example: Tensor,
    outputs: Sequence[str],
    path: Path,
    metadata: Mapping[str, str],
    *,
    dynamic_batch: bool,
) -> None:
    """Writes the module by PyTorch's exporter (torch.export), with the metadata in ``metadata_props``. Raises whatever
    the exporter raises."""
    shapes = {"images": {0: torch.export.Dim.DYNAMIC}} if dynamic_batch else None
    program: Any = torch.onnx.export(
        module,
        (example,),
        dynamo=True,
        verbose=False,
        input_names=[INPUT],
        output_names=list(outputs),
        dynamic_shapes=shapes,
    )
    program.model.metadata_props.update(metadata)
    program.save(path)


def open_onnx(path: Path) -> Run:
    """Opens a file by ONNX Runtime, on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(images: Tensor) -> list[Tensor]:
        return [torch.from_numpy(one) for one in session.run(None, {INPUT: images.numpy()})]

    return run
