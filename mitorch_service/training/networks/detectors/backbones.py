"""Builds the backbones of detectors, which compute feature maps, from torchvision's or any of timm's models."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import timm
import torchvision
from torch import Tensor, nn
from torchvision.models.detection.backbone_utils import BackboneWithFPN, mobilenet_backbone, resnet_fpn_backbone
from torchvision.ops import FeaturePyramidNetwork, FrozenBatchNorm2d
from torchvision.ops.feature_pyramid_network import ExtraFPNBlock, LastLevelMaxPool, LastLevelP6P7

from mitorch_service.errors import ModelError
from mitorch_service.training.networks.detectors.detector_names import MOBILENETS, RESNETS, DetectorName
from mitorch_service.training.networks.downloads import fetches

_CHANNELS = 256  # per map of a feature pyramid (Lin et al. 2017)
_MOBILENET_STRIDES = (
    2,
    4,
    8,
    16,
    32,
    32,
)  # of its stages: the first block of each stride, and the last
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True)
class Backbone:
    """A module that maps images (N, 3, H, W) to named feature maps of ``module.out_channels`` channels."""

    module: Any
    strides: tuple[int, ...]  # pixels of the image per cell, of each map
    mean: tuple[float, ...] = _IMAGENET[0]
    std: tuple[float, ...] = _IMAGENET[1]


def build_backbone(
    name: DetectorName, pretrained: bool, trainable_layers: int | None, only_stride: int | None = None
) -> Backbone:
    """Builds the backbone of Faster R-CNN, RetinaNet or FCOS: a feature pyramid, or a single map without ``fpn``.

    `only_stride` (4, 8, 16 or 32) leaves of the pyramid of Faster R-CNN the map of this stride only, which the coarser
    ones still flow into.

    Pretrained torchvision backbones keep their batch norms frozen and train `trainable_layers` (default 3) stages, as
    torchvision's detectors do. Raises ModelError for a timm model without feature maps of the strides needed.
    """
    if name.backbone in RESNETS:
        backbone = _resnet(name, pretrained, trainable_layers, only_stride)
    elif name.backbone in MOBILENETS:
        backbone = _mobilenet(name, pretrained, trainable_layers, only_stride)
    else:
        backbone = _timm_pyramid(name, pretrained, only_stride)
    return backbone if only_stride is None else _finest_map(backbone)


def _finest_map(backbone: Backbone) -> Backbone:
    """Leaves the first map only, and takes away the layers behind the others, which would get no gradient."""
    fpn = backbone.module.fpn
    for index in range(1, len(fpn.layer_blocks)):
        fpn.layer_blocks[index] = nn.Identity()
    backbone.module.register_forward_hook(_first_of)
    return replace(backbone, strides=backbone.strides[:1])


def _first_of(module: nn.Module, arguments: Any, maps: dict[str, Tensor]) -> dict[str, Tensor]:
    return OrderedDict([("0", next(iter(maps.values())))])


class Maps(nn.Module):
    """A timm model that returns the maps of its stages, each (N, channels, H / stride, W / stride)."""

    def __init__(self, name: str, pretrained: bool, strides: Sequence[int]) -> None:
        """Raises ModelError unless the model has a stage of each stride."""
        super().__init__()
        body: Any = timm.create_model(name, pretrained=fetches(pretrained), features_only=True)
        self.body, info = body, body.feature_info
        found = {stride: index for index, stride in enumerate(info.reduction())}  # the last of two with the same stride
        if not set(strides) <= found.keys():
            have = ", ".join(map(str, sorted(found)))
            raise ModelError(
                f"{name} cannot be a detector's backbone: it has feature maps of stride {have}, but "
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
    """A feature pyramid on a timm model; its submodules are named as torchvision's: body, fpn."""

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


def _resnet(name: DetectorName, pretrained: bool, trainable_layers: int | None, only_stride: int | None) -> Backbone:
    two_stage = name.family == "fasterrcnn"
    stages = [1, 2, 3, 4] if two_stage else [2, 3, 4]
    stages = [stage for stage in stages if only_stride is None or 2 ** (stage + 1) >= only_stride]
    frozen = pretrained and name.pyramid == "fpn"
    deepest = 512 if name.backbone in ("resnet18", "resnet34") else 2048
    module = resnet_fpn_backbone(
        backbone_name=name.backbone,
        weights="DEFAULT" if fetches(pretrained) else None,
        norm_layer=FrozenBatchNorm2d if frozen else nn.BatchNorm2d,
        trainable_layers=_trainable(pretrained, trainable_layers, 5),
        returned_layers=stages,
        extra_blocks=_extra(name, deepest),
    )
    if _normalised(name):
        _normalise_fpn(module, [deepest // 2 ** (4 - stage) for stage in stages], _extra(name, deepest))
    return Backbone(module, _with_extra([2 ** (stage + 1) for stage in stages], name))


def _mobilenet(name: DetectorName, pretrained: bool, trainable_layers: int | None, only_stride: int | None) -> Backbone:
    """With ``fpn``, Faster R-CNN uses the last two stages, as torchvision's own does; RetinaNet and FCOS get their
    papers' strides (8, 16, 32)."""
    stages = None if not name.pyramid else _mobilenet_stages(name, only_stride)
    module = mobilenet_backbone(
        backbone_name=name.backbone,
        weights="DEFAULT" if fetches(pretrained) else None,
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


def _mobilenet_stages(name: DetectorName, only_stride: int | None) -> list[int]:
    """Returns indices of torchvision's stages; each of the three MobileNets has six."""
    if only_stride is not None:
        return [stage for stage in (1, 2, 3, 5) if _MOBILENET_STRIDES[stage] >= only_stride]
    return [4, 5] if name.family == "fasterrcnn" else [2, 3, 5]


def _timm_pyramid(name: DetectorName, pretrained: bool, only_stride: int | None) -> Backbone:
    strides = [4, 8, 16, 32] if name.family == "fasterrcnn" else [8, 16, 32]
    strides = [stride for stride in strides if only_stride is None or stride >= only_stride]
    maps = Maps(name.backbone, pretrained, strides)
    norm_layer = nn.BatchNorm2d if _normalised(name) else None
    module = TimmPyramid(maps, _extra(name, maps.channels[-1]), norm_layer)
    return Backbone(module, _with_extra(strides, name), maps.mean, maps.std)


def _extra(name: DetectorName, deepest: int) -> ExtraFPNBlock:
    """Returns the block above the pyramid: P6 by pooling, or P6 and P7 by convolutions (in v2, from the backbone)."""
    if name.family == "fasterrcnn":
        return LastLevelMaxPool()
    return LastLevelP6P7(deepest if name.pyramid == "fpn_v2" else _CHANNELS, _CHANNELS)


def _normalised(name: DetectorName) -> bool:
    """Whether the pyramid has batch norm: in torchvision's Faster R-CNN v2, but not in its RetinaNet v2."""
    return name.pyramid == "fpn_v2" and name.family == "fasterrcnn"


def _normalise_fpn(module: BackboneWithFPN, channels: list[int], extra: ExtraFPNBlock) -> None:
    """Replaces the pyramid by one with batch norm, which only private functions of torchvision can build."""
    module.fpn = FeaturePyramidNetwork(channels, _CHANNELS, extra, nn.BatchNorm2d)


def _with_extra(strides: Sequence[int], name: DetectorName) -> tuple[int, ...]:
    last = strides[-1]
    return (*strides, last * 2) if name.family == "fasterrcnn" else (*strides, last * 2, last * 4)


def _trainable(pretrained: bool, asked: int | None, every: int) -> int:
    return every if not pretrained else 3 if asked is None else asked


def torchvision_classifier(name: str, pretrained: bool, **arguments: Any) -> Any:
    """Builds a torchvision classifier, whose layers an SSD reuses."""
    return torchvision.models.get_model(name, weights="DEFAULT" if fetches(pretrained) else None, **arguments)
