"""Exports a model for programs without this package, and checks what was written."""

from __future__ import annotations

import importlib.metadata
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from mitorch_service.errors import ArtifactError, InvalidInput, ModelError, Problem
from mitorch_service.training.data.image_list import PackedStrings
from mitorch_service.training.export.comparison import largest_difference
from mitorch_service.training.export.onnx_file import Run, check_packages, open_onnx, write_onnx
from mitorch_service.training.export.portable_modules import (
    CLASSIFIED,
    DETECTED,
    PortableClassifier,
    PortableDetector,
    plain_attention,
    traceable_suppression,
)
from mitorch_service.training.export.quiet_exporter import quiet
from mitorch_service.training.export.torchscript_file import open_torchscript, write_torchscript
from mitorch_service.training.loop.weights_metadata import preprocessing_of
from mitorch_service.training.prediction.model import Model
from mitorch_service.training.prediction.unlabelled_images import open_prediction_feed

Form = Literal["onnx", "torchscript"]
SUFFIXES: dict[str, str] = {"onnx": ".onnx", "torchscript": ".pt"}
MOST_DIFFERENT = 1e-3
CHECKED = 4  # images
_DYNAMIC = 3  # images in a batch of a size that was not exported


@dataclass(frozen=True)
class Exported:
    """A file that was written and checked."""

    path: Path
    images: int  # that it was checked on
    difference: float  # the largest: of a probability, a score, or a side of a box as a part of the input size


def export_model(
    model: Model, form: Form, path: Path, *, dynamic_batch: bool = False, images: PackedStrings | None = None
) -> Exported:
    """Writes a model that is on the CPU, and compares it with the network on `images`, or without any on made-up ones.

    Its input and outputs are described in `portable_modules`, its metadata by `metadata_of`. Raises ModelError if the
    exporter cannot follow the network, or the file gives something else: then no file is left. Raises InvalidInput for
    `dynamic_batch` of a detector, MissingExtra.
    """
    detects = model.kind == "detection"
    if dynamic_batch and detects:
        hint = "is for classifiers: an exported detector takes one image at a time"
        raise InvalidInput("mitorch export", [Problem("--dynamic-batch", hint)])
    if form == "onnx":
        check_packages()
    inputs = _inputs(model, images)
    module = (PortableDetector(model.module) if detects else PortableClassifier(model.module, model.task_type)).eval()
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with quiet(), plain_attention(module), traceable_suppression(model.config.model.input_size):
            run = _write(module, form, partial, inputs, _outputs(detects), metadata_of(model), dynamic_batch)
        difference = _compared(run, module, inputs, dynamic_batch, model.threshold)
        if difference > MOST_DIFFERENT:
            raise ModelError(
                f"The exported network differs from the network by {difference:.2g} on {len(inputs)} images, more than "
                f"{MOST_DIFFERENT:g}: no file was left. Export to the other format."
            )
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return Exported(path, len(inputs), difference)


def metadata_of(model: Model) -> dict[str, str]:
    """Returns what a program needs to know, each as text: ``task_type``, ``classes`` and ``preprocessing`` as JSON, the
    ``threshold`` from which scores count, the ``model``'s name, and the version of ``mitorch_service``."""
    preprocessing = preprocessing_of(model.config, model.network, model.kind)
    return {
        "task_type": model.task_type,
        "classes": json.dumps(list(model.classes)),
        "preprocessing": preprocessing.model_dump_json(),
        "threshold": str(model.choice().threshold),
        "model": model.config.model.name,
        "mitorch_service": importlib.metadata.version("mitorch-service"),
    }


def _outputs(detects: bool) -> tuple[str, ...]:
    return DETECTED if detects else CLASSIFIED


def _write(
    module: nn.Module,
    form: Form,
    path: Path,
    inputs: Tensor,
    outputs: tuple[str, ...],
    metadata: dict[str, str],
    dynamic_batch: bool,
) -> Run:
    """Writes the file and opens it."""
    example = inputs[:2] if dynamic_batch else inputs[:1]  # a dimension of 1 would be taken for a fixed one
    try:
        if form == "torchscript":
            write_torchscript(module, example, path, metadata)
            return open_torchscript(path)
        write_onnx(module, example, outputs, path, metadata, dynamic_batch=dynamic_batch)
        return open_onnx(path)
    except OSError as error:
        problem = f"cannot be written ({error.strerror or error}). Free space there, or choose another folder."
        raise ArtifactError(path.name, str(path.parent), problem) from error
    except Exception as error:  # noqa: BLE001 - the exporters pass on whatever the network's own code raises
        raise ModelError(
            f"This network cannot be exported to {form}: {_reason(error)}. "
            f"Try --to {'torchscript' if form == 'onnx' else 'onnx'}, or another model."
        ) from None


def _compared(run: Run, module: nn.Module, inputs: Tensor, dynamic_batch: bool, threshold: float) -> float:
    """Returns the largest difference, image by image, and also of a batch if its size is free. Of a detector, the boxes
    from the threshold on are compared, or from half of the best score on."""
    parts = [inputs[place : place + 1] for place in range(len(inputs))]
    parts += [inputs[:_DYNAMIC]] if dynamic_batch else []
    worst = 0.0
    for part in parts:
        with torch.no_grad():
            expected: Tensor | tuple[Tensor, ...] = module(part)
        known = [expected] if isinstance(expected, Tensor) else list(expected)
        best = float(known[1].max()) if len(known) > 1 and len(known[1]) else 0.0
        worst = max(worst, largest_difference(run(part), known, part.shape[-1], min(threshold, best / 2)))
    return worst


def _inputs(model: Model, paths: PackedStrings | None) -> Tensor:
    """Returns some images as the network takes them, (N, 3, input_size, input_size)."""
    opened = {} if paths else dict(enumerate(_generated(model.config.model.input_size)))
    names = PackedStrings(paths or [""] * CHECKED)
    feed, _ = open_prediction_feed(model.config, model.network, model.kind, names, opened, CHECKED, model.device)
    with feed:
        batch = next(iter(feed.epoch(0)), None)
    if batch is None:
        raise ModelError("None of the images on which the exported network is to be checked can be read.")
    size, images = model.config.model.input_size, batch.images
    if not isinstance(images, Tensor) or images.shape[-2:] != (size, size):
        raise ModelError(
            f"The images of this network have several sizes, as its augmentation.val does not make squares of {size} "
            "pixels; an exported network takes one size. Train it with letterbox or resize."
        )
    return images.contiguous()


def _generated(size: int) -> list[Image.Image]:
    """Returns pictures of noise at several scales, which no network takes for blank."""
    numbers = np.random.default_rng(0)
    made = []
    for scale in range(CHECKED):
        cells = max(2, size >> scale)
        pixels = numbers.integers(0, 256, (cells, cells, 3)).astype(np.uint8)
        made.append(Image.fromarray(pixels).resize((size, size)))
    return made


def _reason(error: BaseException) -> str:
    """Returns the first line of the innermost cause: the exporters wrap it in pages of advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__
