"""The part of a detector that turns an image into maps of features, of torchvision's backbones or of any of timm."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import timm
import torchvision
from torch import Tensor, nn
from torchvision.models.detection.backbone_utils import BackboneWithFPN, mobilenet_backbone, resnet_fpn_backbone
from torchvision.ops import FeaturePyramidNetwork, FrozenBatchNorm2d
from torchvision.ops.feature_pyramid_network import ExtraFPNBlock, LastLevelMaxPool, LastLevelP6P7

from mitorch_service.errors import ModelError
from mitorch_service.training.networks.detectors.detector_names import MOBILENETS, RESNETS, DetectorName

_CHANNELS = 256  # of every map of a pyramid (Lin et al. 2017)
_MOBILENET_STRIDES = (2, 4, 8, 16, 32, 32)  # of torchvision's stages: where each begins to be coarser, and the last
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True)
class Backbone:
    """A module from images (N, 3, H, W) to named maps of ``module.out_channels`` channels."""

    module: Any
    strides: tuple[int, ...]  # pixels of the image per cell, of each map
    mean: tuple[float, ...] = _IMAGENET[0]
    std: tuple[float, ...] = _IMAGENET[1]


def build_backbone(name: DetectorName, pretrained: bool, trainable_layers: int | None) -> Backbone:
    """What Faster R-CNN, RetinaNet and FCOS stand on: a pyramid of maps, or one map without ``fpn``.

    Pretrained backbones of torchvision keep their batch norms frozen and train `trainable_layers` (3) stages, as its
    own detectors do. Raises ModelError for a model of timm without such maps.
    """
    if name.backbone in RESNETS:
        return _resnet(name, pretrained, trainable_layers)
    if name.backbone in MOBILENETS:
        return _mobilenet(name, pretrained, trainable_layers)
    return _timm_pyramid(name, pretrained)


class Maps(nn.Module):
    """A model of timm as the maps of its stages, each (N, channels, H / stride, W / stride)."""

    def __init__(self, name: str, pretrained: bool, strides: Sequence[int]) -> None:
        """Keeps the stages of these strides; all of them have to be there."""
        super().__init__()
        body: Any = timm.create_model(name, pretrained=pretrained, features_only=True)
        self.body, info = body, body.feature_info
        found = {stride: index for index, stride in enumerate(info.reduction())}  # of two with one stride, the last
        if not set(strides) <= found.keys():
            have = ", ".join(map(str, sorted(found)))
            raise ModelError(
                f"{name} cannot carry a detector: it has feature maps of stride {have}, and "
                f"{', '.join(map(str, strides))} are needed. Choose a convolutional backbone, such as resnet50."
            )
        self._indices = [found[stride] for stride in strides]
        self.channels = [info.channels()[index] for index in self._indices]
        cfg = timm.get_pretrained_cfg(name, allow_unregistered=True)
        self.mean, self.std = (tuple(cfg.mean), tuple(cfg.std)) if cfg else _IMAGENET

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = self.body(images)
        return [maps[index] for index in self._indices]


class TimmPyramid(nn.Module):
    """A pyramid over the maps of a model of timm, with the names that torchvision's have: body, fpn."""

    def __init__(self, maps: Maps, extra: ExtraFPNBlock, norm_layer: type[nn.Module] | None) -> None:
        super().__init__()
        self.body = maps.body
        self._indices = maps._indices
        self.fpn = FeaturePyramidNetwork(maps.channels, _CHANNELS, extra, norm_layer)
        self.out_channels = _CHANNELS

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        maps = self.body(images)
        named = OrderedDict((str(place), maps[index]) for place, index in enumerate(self._indices))
        return cast("dict[str, Tensor]", self.fpn(named))


def _resnet(name: DetectorName, pretrained: bool, trainable_layers: int | None) -> Backbone:
    two_stage = name.family == "fasterrcnn"
    stages = [1, 2, 3, 4] if two_stage else [2, 3, 4]
    frozen = pretrained and name.pyramid == "fpn"
    deepest = 512 if name.backbone in ("resnet18", "resnet34") else 2048
    module = resnet_fpn_backbone(
        backbone_name=name.backbone,
        weights="DEFAULT" if pretrained else None,
        norm_layer=FrozenBatchNorm2d if frozen else nn.BatchNorm2d,
        trainable_layers=_trainable(pretrained, trainable_layers, 5),
        returned_layers=stages,
        extra_blocks=_extra(name, deepest),
    )
    if _normalised(name):
        _normalise_fpn(module, [deepest // 2 ** (4 - stage) for stage in stages], _extra(name, deepest))
    return Backbone(module, _with_extra([2 ** (stage + 1) for stage in stages], name))


def _mobilenet(name: DetectorName, pretrained: bool, trainable_layers: int | None) -> Backbone:
    """With ``fpn``, the Faster R-CNN is torchvision's own (maps of the last two stages); RetinaNet and FCOS get the
    strides that they are made for."""
    stages = None if not name.pyramid else _mobilenet_stages(name)
    module = mobilenet_backbone(
        backbone_name=name.backbone,
        weights="DEFAULT" if pretrained else None,
        fpn=bool(name.pyramid),
        norm_layer=FrozenBatchNorm2d if pretrained and name.pyramid != "fpn_v2" else nn.BatchNorm2d,
        trainable_layers=_trainable(pretrained, trainable_layers, 6),
        returned_layers=stages,
        extra_blocks=_extra(name, _CHANNELS) if name.pyramid else None,
    )
    if stages is None:
        return Backbone(module, (32,))
    if _normalised(name):
        channels = [layer[0].in_channels for layer in module.fpn.inner_blocks]
        _normalise_fpn(module, channels, _extra(name, _CHANNELS))
    return Backbone(module, _with_extra([_MOBILENET_STRIDES[stage] for stage in stages], name))


def _mobilenet_stages(name: DetectorName) -> list[int]:
    """Indices of torchvision's stages, of which all three MobileNets have six."""
    return [4, 5] if name.family == "fasterrcnn" else [2, 3, 5]


def _timm_pyramid(name: DetectorName, pretrained: bool) -> Backbone:
    strides = [4, 8, 16, 32] if name.family == "fasterrcnn" else [8, 16, 32]
    maps = Maps(name.backbone, pretrained, strides)
    norm_layer = nn.BatchNorm2d if _normalised(name) else None
    module = TimmPyramid(maps, _extra(name, maps.channels[-1]), norm_layer)
    return Backbone(module, _with_extra(strides, name), maps.mean, maps.std)


def _extra(name: DetectorName, deepest: int) -> ExtraFPNBlock:
    """What continues the pyramid: P6 by pooling, or P6 and P7 by convolutions, which v2 takes from the backbone."""
    if name.family == "fasterrcnn":
        return LastLevelMaxPool()
    return LastLevelP6P7(deepest if name.pyramid == "fpn_v2" else _CHANNELS, _CHANNELS)


def _normalised(name: DetectorName) -> bool:
    """Whether there is batch norm in the pyramid: in torchvision's second Faster R-CNN, not in its second RetinaNet."""
    return name.pyramid == "fpn_v2" and name.family == "fasterrcnn"


def _normalise_fpn(module: BackboneWithFPN, channels: list[int], extra: ExtraFPNBlock) -> None:
    """Only private functions of torchvision take this argument."""
    module.fpn = FeaturePyramidNetwork(channels, _CHANNELS, extra, nn.BatchNorm2d)


def _with_extra(strides: Sequence[int], name: DetectorName) -> tuple[int, ...]:
    last = strides[-1]
    return (*strides, last * 2) if name.family == "fasterrcnn" else (*strides, last * 2, last * 4)


def _trainable(pretrained: bool, asked: int | None, every: int) -> int:
    return every if not pretrained else 3 if asked is None else asked


def torchvision_classifier(name: str, pretrained: bool, **arguments: Any) -> Any:
    """A classifier of torchvision, whose layers an SSD takes apart."""
    return torchvision.models.get_model(name, weights="DEFAULT" if pretrained else None, **arguments)
