"""Reads and writes weights files: a state_dict beside its metadata, or what other programs write."""

from __future__ import annotations

import argparse
import os
import pathlib
import pickle
import re
import warnings
import zipfile
import zlib
from collections import OrderedDict, defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from mitorch_service.errors import ArtifactError, ModelError
from mitorch_service.models.weights_metadata import FORMAT, FORMAT_KEY, WeightsMetadata

StateDict = dict[str, Tensor]

# Where other programs keep the weights in a checkpoint. Averages come first: they are what was validated.
_KEYS = ("state_dict_ema", "model_ema", "ema", "state_dict", "model_state_dict", "model", "module", "weights")
_WRAPPERS = re.compile(r"^(module\.|_orig_mod\.)+")  # of DDP, and of torch.compile
_PYTHON_OBJECT = re.compile(r"Unsupported (global|class)[^.]*?: GLOBAL [\w.]+(?= )|unsupported GLOBAL [\w.]+(?= )")
_SPEAKING = (RuntimeError, pickle.UnpicklingError, SafetensorError)  # errors with a reason in them
_NOT_WEIGHTS = ("n_averaged",)  # torch's AveragedModel counts its updates
_CHUNK = 1 << 20
_SHOWN = 10  # keys of a checkpoint that a message names
_REMEDY = "Save the weights alone: torch.save(model.state_dict(), …)."


@dataclass(frozen=True)
class Weights:
    """The content of a weights file."""

    state_dict: StateDict
    metadata: WeightsMetadata | None = None  # None: another program wrote it, or an older version of this one
    key: str | None = None  # of the checkpoint's entry that the weights are; None: the whole file

    def __str__(self) -> str:
        return f"{len(self.state_dict)} tensors" + (f" ({self.key})" if self.key else "")


def read_weights(path: Path) -> Weights:
    """Reads a file of `save_weights`, a plain state_dict, or the weights in a checkpoint of timm, torchvision or
    Lightning, or of safetensors, without the prefixes that DDP and torch.compile put before the names.

    Executes no code from the file (`weights_only`). Raises ModelError if the file does not exist or has no weights.
    """
    content = _load(path)
    key, found = _weights_in(content)
    if not found:
        names = ", ".join(map(str, list(content)[:_SHOWN])) if isinstance(content, Mapping) else ""
        has = f", but {names}" if names else ""
        raise ModelError(f"{path} contains no state_dict (names with tensors){has}. {_REMEDY}")
    weights = {_WRAPPERS.sub("", name): tensor for name, tensor in found.items() if name not in _NOT_WEIGHTS}
    metadata = _metadata_in(content, path)
    return Weights(weights, metadata, key if metadata is None else None)


def _load(path: Path) -> Any:
    try:
        if _is_safetensors(path):
            return load_file(path)
        if zipfile.is_zipfile(path):
            _check_sums(path)
        with warnings.catch_warnings():  # about pickles of other programs: they load or they do not
            warnings.simplefilter("ignore")
            with torch.serialization.safe_globals(_harmless()):
                return torch.load(path, map_location="cpu", weights_only=True)
    except ModelError:
        raise
    except FileNotFoundError:
        raise ModelError(f"The weights file {path} does not exist. Check the path.") from None
    except OSError as error:
        raise ModelError(f"The weights file {path} cannot be read ({error.strerror or error}).") from error
    except Exception as error:  # noqa: BLE001 - the parsers of torch and pickle raise whatever a damaged byte leads to
        raise _unreadable(path, error) from None


def _check_sums(path: Path) -> None:
    """Raises ModelError if a record of torch's format is not what was written: torch itself does not look."""
    with suppress(zipfile.BadZipFile, NotImplementedError), zipfile.ZipFile(path) as archive:  # torch has words for it
        for record in archive.infolist():
            if record.CRC == 0:  # whoever wrote it may have switched the sums off
                continue
            with archive.open(record) as content:
                try:
                    while content.read(_CHUNK):
                        pass
                except (zipfile.BadZipFile, EOFError, zlib.error) as error:
                    raise ModelError(
                        f"{path} is damaged: its record {record.filename} is not what was written ({error}). "
                        "Copy it again from where it comes, or train anew."
                    ) from None


def _is_safetensors(path: Path) -> bool:
    """Whether the file begins with the length of a JSON header, then this header."""
    with path.open("rb") as file:
        start = file.read(9)
    return start[8:] == b"{" and 0 < int.from_bytes(start[:8], "little") < path.stat().st_size


def _harmless() -> list[Any]:
    """Returns the classes in other programs' checkpoints that hold values only: arguments, paths, NumPy's numbers."""
    multiarray = (getattr(np, "_core", None) or np.core).multiarray  # NumPy 2, or 1
    numbers = [type(np.dtype(name)) for name in ("f2", "f4", "f8", "i4", "i8", "?")]
    scalars = [(multiarray.scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]
    paths = [pathlib.PosixPath, pathlib.PurePosixPath, pathlib.PureWindowsPath]
    return [argparse.Namespace, defaultdict, dict, *paths, np.dtype, *numbers, *scalars]


def _unreadable(path: Path, error: Exception) -> ModelError:
    """Tells a file with Python objects from a damaged one, in torch's own words."""
    words = str(error) if isinstance(error, _SPEAKING) else ""  # others say a key or so
    reason = (words.rpartition("WeightsUnpickler error:")[2].strip() or type(error).__name__).splitlines()[0]
    if code := _PYTHON_OBJECT.search(words):
        return ModelError(
            f"{path} is not a PyTorch weights file that can be read without running code from it "
            f"({code.group(0)}). {_REMEDY}"
        )
    return ModelError(f"{path} is not a PyTorch weights file, or it is damaged ({reason.split('. ')[0]}). {_REMEDY}")


def _weights_in(content: object) -> tuple[str | None, StateDict]:
    """Returns the key of the weights in a checkpoint, None for a plain state_dict, and the weights, empty if there are
    none."""
    if not isinstance(content, Mapping):
        return None, {}
    for key in _KEYS:
        inner = content.get(key)
        if isinstance(inner, Mapping) and (found := _tensors(inner)):
            return key, found
    if _is_whole(content):
        return None, _tensors(content)
    others = [(str(key), value) for key, value in content.items() if isinstance(value, Mapping) and _is_whole(value)]
    return (others[0][0], _tensors(others[0][1])) if len(others) == 1 else (None, {})


def _is_whole(content: Mapping[Any, Any]) -> bool:
    """Whether it holds tensors only."""
    return bool(content) and all(isinstance(value, Tensor) for value in content.values())


def _tensors(content: Mapping[Any, Any]) -> StateDict:
    return {name: value for name, value in content.items() if isinstance(value, Tensor) and isinstance(name, str)}


def _metadata_in(content: Any, path: Path) -> WeightsMetadata | None:
    if FORMAT_KEY not in content:
        return None
    version = content[FORMAT_KEY]
    if not isinstance(version, int) or version > FORMAT:
        raise ModelError(
            f"{path} is of a newer format ({version}) than this mitorch-service reads. Update the package."
        )
    try:
        return WeightsMetadata.model_validate({str(key): content[key] for key in content if key != "state_dict"})
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(map(str, problem["loc"]))
        raise ModelError(
            f"{path} is damaged: its {where} cannot be read ({problem['msg']}). Write it again."
        ) from error


def cpu_state_dict(module: nn.Module) -> StateDict:
    """Returns a copy of the weights in main memory."""
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in module.state_dict().items()}


def save_weights(weights: StateDict, path: Path, metadata: WeightsMetadata | None = None) -> None:
    """Writes the file atomically: the weights under ``state_dict`` beside the metadata, which torch.load reads with
    `weights_only`; without metadata the weights alone. Raises ArtifactError if it cannot be written."""
    content: Mapping[str, Any] = weights
    if metadata is not None:
        content = {FORMAT_KEY: FORMAT, **metadata.model_dump(mode="json"), "state_dict": OrderedDict(weights)}
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        torch.save(content, temporary)
        temporary.replace(path)
    except (OSError, RuntimeError) as error:  # torch raises RuntimeError for a failed write
        problem = f"the weights cannot be written ({error}). Free space there, or choose another folder."
        raise ArtifactError(path.name, str(path.parent), problem) from error
    finally:
        temporary.unlink(missing_ok=True)
