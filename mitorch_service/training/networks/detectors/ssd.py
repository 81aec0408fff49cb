"""Builds SSD (Liu et al. 2016) and SSDlite (Sandler et al. 2018) for any input size from torchvision's parts."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.ssd import SSD, SSDFeatureExtractorVGG
from torchvision.models.detection.ssdlite import SSDLiteFeatureExtractorMobileNet, SSDLiteHead
from torchvision.ops import Conv2dNormActivation

from mitorch_service.models.config.training_config import ModelConfig
from mitorch_service.training.networks.detectors.backbones import Maps, torchvision_classifier
from mitorch_service.training.networks.detectors.detector_names import DetectorName

_SSD_RATIOS = [[2], [2, 3], [2, 3], [2, 3], [2], [2]]
_SSD_SCALES = [0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05]  # of the input size
_SSD_STEPS = [8, 16, 32, 64, 100, 300]  # for 300 pixels, as in the paper's Caffe model
_CAFFE = {"image_mean": [0.48235, 0.45882, 0.40784], "image_std": [1 / 255, 1 / 255, 1 / 255]}
_LITE_NORM = partial(nn.BatchNorm2d, eps=0.001, momentum=0.03)
_LITE = {
    "score_thresh": 0.001,
    "nms_thresh": 0.55,
    "detections_per_img": 300,
    "topk_candidates": 300,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}
_EXTRA_CHANNELS = (512, 256, 256, 128)
_C4 = {"mobilenet_v3_large": 13, "mobilenet_v3_small": 9}  # the torchvision block whose expansion is C4
_V2_STRIDE_32 = 14  # the first block of MobileNetV2 with this stride


def build_ssd(name: DetectorName, config: ModelConfig, classes: int) -> nn.Module:
    """Builds an SSD; `classes` includes the background. Below 300 pixels the coarsest maps are dropped."""
    extractor = SSDFeatureExtractorVGG(torchvision_classifier("vgg16", config.pretrained).features, highres=False)
    channels = _fitting_maps(extractor, config.input_size)
    maps = len(channels)
    boxes = DefaultBoxGenerator(
        _SSD_RATIOS[:maps],
        scales=_SSD_SCALES[: maps + 1],
        steps=_SSD_STEPS if config.input_size == 300 else None,
    )
    size = (config.input_size, config.input_size)
    extractor.out_channels = channels  # else SSD finds them out with a forward pass
    module: nn.Module = SSD(extractor, boxes, size, classes, **{**_CAFFE, **config.options})
    return module


def build_ssdlite(name: DetectorName, config: ModelConfig, classes: int) -> nn.Module:
    """Builds an SSDlite; `classes` includes the background."""
    extractor = _lite_extractor(name.backbone, config.pretrained)
    channels = _channels(extractor, config.input_size)
    boxes = DefaultBoxGenerator([[2, 3] for _ in channels], min_ratio=0.2, max_ratio=0.95)
    head = SSDLiteHead(channels, boxes.num_anchors_per_location(), classes, _LITE_NORM)
    size = (config.input_size, config.input_size)
    colours = {}
    if isinstance(extractor, LiteMaps) and isinstance(extractor.body, Maps):
        colours = {"image_mean": list(extractor.body.mean), "image_std": list(extractor.body.std)}
    module: nn.Module = SSD(extractor, boxes, size, classes, head=head, **{**_LITE, **colours, **config.options})
    return module


class LiteMaps(nn.Module):
    """A backbone's maps of strides 16 and 32, and four coarser maps computed from the last."""

    def __init__(self, body: nn.Module, channels: int) -> None:
        """`channels`: of the body's last map."""
        super().__init__()
        self.body = body
        widths = (channels, *_EXTRA_CHANNELS)
        self.extra = nn.ModuleList(_extra(width, out) for width, out in zip(widths, _EXTRA_CHANNELS, strict=False))
        for layer in self.extra.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=0.03)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        maps = list(self.body(images))
        for block in self.extra:
            maps.append(block(maps[-1]))
        return OrderedDict((str(place), one) for place, one in enumerate(maps))


class _Halves(nn.Module):
    """A chain of layers that returns its output and that of the layer before `cut`."""

    def __init__(self, layers: nn.Sequential, cut: int) -> None:
        super().__init__()
        self.first = layers[:cut]
        self.second = layers[cut:]

    def forward(self, images: Tensor) -> list[Tensor]:
        middle = self.first(images)
        return [middle, self.second(middle)]


def _lite_extractor(backbone: str, pretrained: bool) -> nn.Module:
    if backbone in _C4:
        # reduced_tail halves the last stage's channels (MobileNetV3, table 6), which pretrained weights do not allow
        reduced = {"reduced_tail": not pretrained}
        layers = torchvision_classifier(backbone, pretrained, norm_layer=_LITE_NORM, **reduced).features
        module: nn.Module = SSDLiteFeatureExtractorMobileNet(layers, _C4[backbone], _LITE_NORM)
        return module
    if backbone == "mobilenet_v2":
        layers = torchvision_classifier(backbone, pretrained, norm_layer=_LITE_NORM).features
        return LiteMaps(_Halves(layers, _V2_STRIDE_32), layers[-1].out_channels)
    maps = Maps(backbone, pretrained, [16, 32])
    return LiteMaps(maps, maps.channels[-1])


def _extra(channels: int, out: int) -> nn.Sequential:
    """Returns a block that halves width and height: 1×1, depthwise 3×3 of stride 2, 1×1."""
    block = partial(Conv2dNormActivation, norm_layer=_LITE_NORM, activation_layer=nn.ReLU6)
    half = out // 2
    return nn.Sequential(
        block(channels, half, kernel_size=1),
        block(half, half, kernel_size=3, stride=2, groups=half),
        block(half, out, kernel_size=1),
    )


def _fitting_maps(extractor: Any, size: int) -> list[int]:
    """Removes the last blocks if an image of this size is too small for them; returns the channels of each map left."""
    with torch.no_grad():
        current = extractor.features(torch.zeros(1, 3, size, size))
        channels, fitting = [current.shape[1]], 0
        for block in extractor.extra:
            try:
                current = block(current)
            except RuntimeError:  # the kernel is larger than the map
                break
            channels.append(current.shape[1])
            fitting += 1
    extractor.extra = extractor.extra[:fitting]
    return channels


def _channels(extractor: nn.Module, size: int) -> list[int]:
    """Returns the channels of each map. Runs in evaluation mode, because batch norm fails on a map of one cell."""
    training = extractor.training
    with torch.no_grad():
        maps = extractor.eval()(torch.zeros(1, 3, size, size))
    extractor.train(training)
    return [one.shape[1] for one in maps.values()]
