"""The network that a config asks for: any classification model of timm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import timm
import torch
from torch import nn

from mitorch_service.errors import ModelError
from mitorch_service.models.config import ModelConfig
from mitorch_service.training.model_names import nearest_models

_OURS = {
    "num_classes": "it is the number of the data set's classes",
    "pretrained": "set model.pretrained",
    "img_size": "set model.input_size",
    "in_chans": "images have 3 channels; use the augmentation to_gray for gray ones",
}


@dataclass(frozen=True)
class Network:
    """A model from float32 (N, 3, input_size, input_size) to logits (N, classes), and the colours it
    expects."""

    module: nn.Module
    mean: tuple[float, ...]  # per channel, of values in 0..1
    std: tuple[float, ...]


def build_network(config: ModelConfig, classes: int) -> Network:
    """Draws initial weights from torch's generator, or downloads pretrained ones (without a head that
    differs).

    Raises ModelError for a name, options or input size that timm cannot build, or weights that it cannot get.
    """
    for option in _OURS.keys() & config.options.keys():
        raise ModelError(f"model.options.{option} cannot be set: {_OURS[option]}.")
    if ":" not in config.name and not timm.is_model(config.name):
        names = frozenset(timm.list_models(include_tags=False))
        raise ModelError(f"timm has no model {config.name!r}: {nearest_models(config.name, names)}")
    module = _create(config, classes)
    _try_forward(module, config, classes)
    colours = module.pretrained_cfg
    return Network(module, tuple(colours["mean"]), tuple(colours["std"]))


def has_batch_norm(module: nn.Module) -> bool:
    """Whether training takes statistics over the batch, which needs more than one image in it."""
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
    return any(isinstance(part, kinds) for part in module.modules())


def _create(config: ModelConfig, classes: int) -> Any:
    try:
        arguments: dict[str, Any] = {**_image_size(config), **config.options}
        return timm.create_model(config.name, pretrained=config.pretrained, num_classes=classes, **arguments)
    except Exception as error:  # timm raises whatever its models and the hub's client raise
        if config.pretrained and isinstance(error, OSError):
            raise ModelError(
                f"The pretrained weights of {config.name} cannot be downloaded ({_first_line(error)}). "
                "Connect this machine to the hub, or set model.pretrained to false and start from your own weights "
                "(base, or -w)."
            ) from error
        given = f" with options {config.options}" if config.options else ""
        raise ModelError(f"timm cannot build {config.name}{given}: {_first_line(error)}") from error


def _image_size(config: ModelConfig) -> dict[str, int]:
    """Transformers with fixed position embeddings are built for one size; others refuse the argument."""
    if ":" in config.name:  # a hub's: its own config is not known yet
        return {}
    known = timm.get_pretrained_cfg(config.name, allow_unregistered=True)
    return {"img_size": config.input_size} if known and known.fixed_input_size else {}


def _try_forward(module: nn.Module, config: ModelConfig, classes: int) -> None:
    """Some networks shrink a small image to nothing, or have a head of their own: said before data is
    read."""
    try:
        with torch.inference_mode():
            shape = tuple(module.eval()(torch.zeros(1, 3, config.input_size, config.input_size)).shape)
    except (RuntimeError, ValueError, AssertionError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{config.name} cannot take images of {config.input_size} pixels ({_first_line(error)}). "
            "Use another model.input_size."
        ) from error
    if shape != (1, classes):
        raise ModelError(
            f"{config.name} gives values of shape {shape} for one image, not (1, {classes}): it is no "
            f"classifier as configured. Choose another model or other options (now {config.options})."
        )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
