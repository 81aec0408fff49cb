"""Turns images into features by a network: one of ours, or one of timm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from mitorch_service.errors import ModelError
from mitorch_service.models.config.training_config import ModelConfig, TrainingConfig
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.data.images.loading import read_image
from mitorch_service.training.device import best_device
from mitorch_service.training.networks.fitting import load_all
from mitorch_service.training.networks.model_names import resolve_model
from mitorch_service.training.networks.network import build_network
from mitorch_service.training.networks.weights import read_weights
from mitorch_service.training.tasks.base import build_for_weights, open_task

_BATCH = 64
_SIDE = 224  # pixels, where a model states none
_REMEDY = "Give WEIGHTS that mitrain or a training of the service wrote, or take random weights with --untrained."


@dataclass(frozen=True)
class Backbone:
    """A network without its head, and the input that it takes."""

    module: nn.Module
    mean: tuple[float, ...]
    std: tuple[float, ...]
    side: int  # pixels, square
    source: str  # for records and messages

    def features(self, images: Sequence[tuple[ImageList, int]]) -> NDArray[np.float32]:
        """The features of each image of these lists, of length 1, float32 (N, D). Raises DataError for an image that
        cannot be read."""
        device = best_device()
        module = self.module.to(device).eval()
        found = []
        with torch.inference_mode():
            for start in range(0, len(images), _BATCH):
                batch = torch.stack([self._input(*one) for one in images[start : start + _BATCH]])
                found.append(_pooled(module, batch.to(device), self.source).float().cpu())
        features = torch.cat(found) if found else torch.zeros(0, 1)
        return cast("NDArray[np.float32]", nn.functional.normalize(features, dim=1).numpy())

    def _input(self, images: ImageList, index: int) -> Tensor:
        picture = read_image(images.location(index), images.archives, self.side).image
        resized = picture.resize((self.side, self.side), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(resized)).permute(2, 0, 1).float() / 255
        return (pixels - torch.tensor(self.mean).view(3, 1, 1)) / torch.tensor(self.std).view(3, 1, 1)


def open_backbone(name: str, *, untrained: bool = False, seed: int = 0) -> Backbone:
    """Opens our weights, if there is such a file, else a model of timm with its pretrained weights, which are fetched
    from their hub, or (`untrained`) with random ones by the seed. Raises ModelError."""
    if Path(name).exists():
        return _of_weights(Path(name))
    torch.manual_seed(seed)
    config = ModelConfig(name=name, input_size=_side(name), pretrained=not untrained)
    try:
        network = build_network(config, 2)
    except ModelError as error:
        raise ModelError(
            f"--backbone {name}: there is no such file, and no such model can be built: {error} {_REMEDY}"
        ) from error
    how = "random weights" if untrained else "pretrained weights"
    return Backbone(network.module, network.mean, network.std, config.input_size, f"{name} ({how})")


def _of_weights(path: Path) -> Backbone:
    weights = read_weights(path)
    known = weights.metadata
    if known is None:
        raise ModelError(f"--backbone {path}: the file has weights alone, not the config of their network. {_REMEDY}")
    config = TrainingConfig.model_validate(known.config)
    network = build_for_weights(open_task(known.task_type), config.model, len(known.classes))
    load_all(network.module, weights.state_dict, str(path))
    return Backbone(network.module, network.mean, network.std, config.model.input_size, str(path))


def _side(name: str) -> int:
    known: Any = timm.get_pretrained_cfg(resolve_model(name), allow_unregistered=True)
    return int(known.input_size[-1]) if known else _SIDE


def _pooled(module: Any, images: Tensor, source: str) -> Tensor:
    """The features before a classifier's last layer, or the means of a detector's coarsest features; (N, D)."""
    if hasattr(module, "forward_head"):  # timm
        return cast("Tensor", module.forward_head(module.forward_features(images), pre_logits=True)).flatten(1)
    if hasattr(module, "backbone"):  # torchvision's detectors
        found = module.backbone(images)
        last: Tensor = list(found.values())[-1] if isinstance(found, dict) else found
        return last.mean((2, 3))
    raise ModelError(
        f"--backbone {source}: its features cannot be read: it is no model of timm and no detector. {_REMEDY}"
    )
