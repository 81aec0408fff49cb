"""Reads and writes weights files: plain state_dicts, readable by any PyTorch program."""

from __future__ import annotations

import os
import pickle
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from mitorch_service.errors import ArtifactError, ModelError

StateDict = dict[str, Tensor]

_MOST_NAMED = 8
_BACKBONE = re.compile(r"^backbone\.(body\.)*")


@dataclass(frozen=True)
class Fit:
    """The result of loading a file's weights into a network."""

    loaded: int
    missing: list[str] = field(default_factory=list)  # in the network only: these keep their initial values
    unexpected: list[str] = field(default_factory=list)  # in the file only
    wrong_shape: list[str] = field(default_factory=list)  # "head.weight (10, 64) in the file, (4, 64) in the network"

    @property
    def complete(self) -> bool:
        """Whether file and network have the same tensors."""
        return not (self.missing or self.unexpected or self.wrong_shape)

    def __str__(self) -> str:
        parts = [f"{self.loaded} tensors loaded"]
        parts += _some("not in the file", self.missing)
        parts += _some("not in the network", self.unexpected)
        parts += _some("of another shape", self.wrong_shape)
        return "; ".join(parts)


def read_weights(path: Path) -> StateDict:
    """Reads a plain state_dict or a checkpoint's ``state_dict``, without the ``module.`` prefix of DDP.

    Executes no code from the file (`weights_only`). Raises ModelError if the file does not exist or has no weights.
    """
    try:
        with warnings.catch_warnings():  # about pickles of other programs: they load or they do not
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ModelError(f"The weights file {path} does not exist. Check the path.") from None
    except OSError as error:
        raise ModelError(f"The weights file {path} cannot be read ({error.strerror}).") from error
    # the exception depends on where torch gives up on a file of another format
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, LookupError):
        raise ModelError(
            f"{path} is not a PyTorch weights file, or it is damaged. Write one: torch.save(model.state_dict(), …)."
        ) from None
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ModelError(
            f"{path} contains no state_dict (names with tensors). Write one: torch.save(model.state_dict(), …)."
        )
    return {str(name).removeprefix("module."): tensor for name, tensor in content.items()}


def load_fitting(module: nn.Module, weights: StateDict, source: str) -> Fit:
    """Copies each tensor whose name and shape match the network's; also from a classifier into a detector's backbone
    and back. Raises ModelError if none matches."""
    own = module.state_dict()
    weights = _renamed(weights, own)
    fitting = {name: weights[name] for name in own if name in weights and weights[name].shape == own[name].shape}
    fit = Fit(
        loaded=len(fitting),
        missing=[name for name in own if name not in weights],
        unexpected=[name for name in weights if name not in own],
        wrong_shape=[
            f"{name} {tuple(weights[name].shape)} in the file, {tuple(own[name].shape)} in the network"
            for name in own
            if name in weights and name not in fitting
        ],
    )
    if not fitting:
        raise ModelError(f"None of the weights in {source} fits the network: {fit}. Are they of another model?")
    module.load_state_dict(fitting, strict=False)
    return fit


def _renamed(weights: StateDict, own: StateDict) -> StateDict:
    """Renames the file's tensors to the network's names. A detector's backbone has the prefix ``backbone.body.``, under
    which timm joins the first two parts of some names (``stages.0.`` → ``stages_0.``)."""
    known = {_canonical(name): name for name in own}
    found = {known.get(_canonical(name), name): tensor for name, tensor in weights.items() if name not in own}
    return {**found, **{name: tensor for name, tensor in weights.items() if name in own}}


def _canonical(name: str) -> str:
    return _BACKBONE.sub("", name).replace(".", "_")


def load_all(module: nn.Module, weights: StateDict, source: str) -> None:
    """Copies every tensor. Raises ModelError with the differences unless file and network have the same tensors."""
    fit = load_fitting(module, weights, source)
    if not fit.complete:
        raise ModelError(
            f"The weights in {source} are not those of this config and data set: {fit}. "
            "Use the config they were trained with, and its labels.txt beside the data set's file."
        )


def cpu_state_dict(module: nn.Module) -> StateDict:
    """Returns a copy of the weights in main memory."""
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in module.state_dict().items()}


def save_weights(weights: StateDict, path: Path) -> None:
    """Writes the file atomically. Raises ArtifactError if it cannot be written."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        torch.save(weights, temporary)
        temporary.replace(path)
    except (OSError, RuntimeError) as error:  # torch raises RuntimeError for a failed write
        problem = f"the weights cannot be written ({error}). Free space there, or choose another folder."
        raise ArtifactError(path.name, str(path.parent), problem) from error
    finally:
        temporary.unlink(missing_ok=True)


def _some(what: str, names: list[str]) -> list[str]:
    """Lists up to three names; of more, the modules that they belong to."""
    shown = names if len(names) <= 3 else list(dict.fromkeys(".".join(name.split(".")[:2]) for name in names))
    text = ", ".join(shown[:_MOST_NAMED]) + ", …" * (len(shown) > _MOST_NAMED)
    return [f"{len(names)} {what} ({text})"] if names else []
