"""Loads weights into a network: those that fit, or all."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from torch import nn

from mitorch_service.errors import ModelError
from mitorch_service.training.networks.weights import StateDict

_MOST_NAMED = 8
_DEEPEST_WRAPPER = 3  # parts of a name that another program's wrapper may have put before the network's own
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


def load_fitting(module: nn.Module, weights: StateDict, source: str) -> Fit:
    """Copies each tensor whose name and shape match the network's; also from a classifier into a detector's backbone
    and back, and from a file whose names have another program's prefix (``model.``). Raises ModelError if none
    matches."""
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


def load_all(module: nn.Module, weights: StateDict, source: str) -> None:
    """Copies every tensor. Raises ModelError with the differences unless file and network have the same tensors."""
    fit = load_fitting(module, weights, source)
    if not fit.complete:
        raise ModelError(
            f"The weights in {source} are not those of this config and data set: {fit}. "
            "Use the config they were trained with, and its labels.txt beside the data set's file."
        )


def _renamed(weights: StateDict, own: StateDict) -> StateDict:
    """Renames the file's tensors to the network's names. A detector's backbone has the prefix ``backbone.body.``, under
    which timm joins the first two parts of some names (``stages.0.`` → ``stages_0.``)."""
    known = {_canonical(name): name for name in own}
    wrapper = _wrapper(weights, known)
    inner = {name.removeprefix(wrapper): tensor for name, tensor in weights.items() if name.startswith(wrapper)}
    found = {known.get(_canonical(name), name): tensor for name, tensor in inner.items() if name not in own}
    return {**found, **{name: tensor for name, tensor in inner.items() if name in own}}


def _wrapper(names: Iterable[str], known: Collection[str]) -> str:
    """Returns the prefix, perhaps empty, without which most of the names are known, of several that of the average.
    What lacks it is the wrapper's own, such as a loss with weights."""
    counts: Counter[str] = Counter()
    for name in names:
        parts = name.split(".")
        for depth in range(min(_DEEPEST_WRAPPER, len(parts) - 1) + 1):
            if _canonical(".".join(parts[depth:])) in known:
                counts["".join(f"{part}." for part in parts[:depth])] += 1
    return max(counts, key=lambda prefix: (counts[prefix], "ema" in prefix, -len(prefix)), default="")


def _canonical(name: str) -> str:
    return _BACKBONE.sub("", name).replace(".", "_")


def _some(what: str, names: list[str]) -> list[str]:
    """Lists up to three names; of more, the modules that they belong to."""
    shown = names if len(names) <= 3 else list(dict.fromkeys(".".join(name.split(".")[:2]) for name in names))
    text = ", ".join(shown[:_MOST_NAMED]) + ", …" * (len(shown) > _MOST_NAMED)
    return [f"{len(names)} {what} ({text})"] if names else []
