"""Weights from and to files: a plain state_dict, which any PyTorch program reads."""

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
    """What of a file's weights a network has taken."""

    loaded: int
    missing: list[str] = field(default_factory=list)  # the network's, not in the file: they keep their initial values
    unexpected: list[str] = field(default_factory=list)  # the file's, not in the network
    wrong_shape: list[str] = field(default_factory=list)  # "head.weight (10, 64) in the file, (4, 64) in the network"

    @property
    def complete(self) -> bool:
        """Whether file and network have the same weights."""
        return not (self.missing or self.unexpected or self.wrong_shape)

    def __str__(self) -> str:
        parts = [f"{self.loaded} tensors loaded"]
        parts += _some("not in the file", self.missing)
        parts += _some("not in the network", self.unexpected)
        parts += _some("of another shape", self.wrong_shape)
        return "; ".join(parts)


def read_weights(path: Path) -> StateDict:
    """The state_dict in a file: plain, or a checkpoint's ``state_dict``; the ``module.`` of DDP is cut off.

    Runs no code from the file. Raises ModelError if there is none, or it holds no weights.
    """
    try:
        with warnings.catch_warnings():  # of pickles by other programs: either they load or they do not
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ModelError(f"The weights file {path} does not exist. Check the path.") from None
    except OSError as error:
        raise ModelError(f"The weights file {path} cannot be read ({error.strerror}).") from error
    # what torch raises depends on where the bytes of another kind of file stop making sense to it
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, LookupError):
        raise ModelError(
            f"{path} is no PyTorch weights file, or a damaged one. Write one: torch.save(model.state_dict(), …)."
        ) from None
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ModelError(
            f"{path} holds no state_dict (names with tensors). Write one: torch.save(model.state_dict(), …)."
        )
    return {str(name).removeprefix("module."): tensor for name, tensor in content.items()}


def load_fitting(module: nn.Module, weights: StateDict, source: str) -> Fit:
    """Copies each tensor whose name and shape the network has: a classifier's also into the backbone of a detector,
    and back. Raises ModelError if none fits."""
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
    """The file's tensors under the names that the network has for them: a detector keeps its backbone below
    ``backbone.body.``, where timm joins the first two parts of some (``stages.0.`` → ``stages_0.``)."""
    known = {_canonical(name): name for name in own}
    found = {known.get(_canonical(name), name): tensor for name, tensor in weights.items() if name not in own}
    return {**found, **{name: tensor for name, tensor in weights.items() if name in own}}


def _canonical(name: str) -> str:
    return _BACKBONE.sub("", name).replace(".", "_")


def load_all(module: nn.Module, weights: StateDict, source: str) -> None:
    """Copies every tensor. Raises ModelError, saying what differs, unless file and network have the same."""
    fit = load_fitting(module, weights, source)
    if not fit.complete:
        raise ModelError(
            f"The weights in {source} are not those of this config and data set: {fit}. "
            "Use the config they were trained with, and its labels.txt beside the data set's file."
        )


def cpu_state_dict(module: nn.Module) -> StateDict:
    """A copy of the weights in main memory."""
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in module.state_dict().items()}


def save_weights(weights: StateDict, path: Path) -> None:
    """Writes the file whole or not at all. Raises ArtifactError if it cannot be written."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        torch.save(weights, temporary)
        temporary.replace(path)
    except (OSError, RuntimeError) as error:  # RuntimeError is torch's for a failed write
        problem = f"the weights cannot be written ({error}). Free space there, or choose another place."
        raise ArtifactError(path.name, str(path.parent), problem) from error
    finally:
        temporary.unlink(missing_ok=True)


def _some(what: str, names: list[str]) -> list[str]:
    """Up to three by name, more by the parts of the network that they are of."""
    shown = names if len(names) <= 3 else list(dict.fromkeys(".".join(name.split(".")[:2]) for name in names))
    text = ", ".join(shown[:_MOST_NAMED]) + ", …" * (len(shown) > _MOST_NAMED)
    return [f"{len(names)} {what} ({text})"] if names else []
