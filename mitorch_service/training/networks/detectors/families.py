"""Builds detectors of torchvision's families by name.

A detector takes images, a list of float32 (3, H, W) in 0..1 or a tensor (N, 3, H, W), and in training mode also
targets, ``{"boxes", "labels"}`` per image. It returns ``{name: loss}`` in training mode, else a list of
``{"boxes", "scores", "labels"}``. It resizes images itself, the longer side to `input_size` (SSD: to a square), and
returns boxes in pixels of its input. The user's classes start at 0; a background class is internal to the family.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from torch import Tensor, nn
from torchvision.models.detection import FCOS, FasterRCNN, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNConvFCHead
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.models.detection.rpn import RPNHead
from torchvision.models.detection.ssd import SSD
from torchvision.ops import MultiScaleRoIAlign

from mitorch_service.errors import ModelError
from mitorch_service.models.config.training_config import ModelConfig
from mitorch_service.training.networks.detectors.backbones import Backbone, build_backbone
from mitorch_service.training.networks.detectors.detector_names import MOBILENETS, RESNETS, DetectorName
from mitorch_service.training.networks.detectors.ssd import build_ssd, build_ssdlite
from mitorch_service.wording.suggestion import did_you_mean

_RATIOS = (0.5, 1.0, 2.0)
_STRIDES = (4, 8, 16, 32)  # of the maps of a pyramid
_RPN_LOSSES = {  # the option with the weight of each loss of the region proposal network
    "rpn_objectness_loss_weight": "loss_objectness",
    "rpn_localization_loss_weight": "loss_rpn_box_reg",
}
_EVERY_SIZE = (32, 64, 128, 256, 512)  # anchor sizes of torchvision's MobileNet detectors, on each of their few maps


def build_detector(name: DetectorName, config: ModelConfig, classes: int) -> nn.Module:
    """Builds the detector with a random or pretrained backbone and random heads.

    Raises ModelError for an unknown option, and whatever torchvision and timm raise.
    """
    _check_options(name, config)
    if name.family in ("ssd", "ssdlite"):
        build = build_ssd if name.family == "ssd" else build_ssdlite
        return classes_from_zero(build(name, config, classes + 1))
    options: dict[str, Any] = dict(config.options)
    anchor_size = options.pop("anchor_size", None)
    only_stride = _only_stride(name, config, options.pop("feature_stride", None))
    weights = {loss: _weight(config, options.pop(option, 1.0), option) for option, loss in _RPN_LOSSES.items()}
    options |= _proposals(config, options.pop("rpn_max_proposals", None))
    backbone = build_backbone(name, config.pretrained, options.pop("trainable_backbone_layers", None), only_stride)
    sizes = {"min_size": config.input_size, "max_size": config.input_size}
    colours = {"image_mean": list(backbone.mean), "image_std": list(backbone.std)}
    given = {**sizes, **colours, **options}
    module = _FAMILIES[name.family](name, backbone, classes, anchor_size, given)
    if any(weight != 1 for weight in weights.values()):
        cast("nn.Module", module.rpn).register_forward_hook(partial(_weighted_losses, weights))
    return module


def _only_stride(name: DetectorName, config: ModelConfig, stride: object) -> int | None:
    if stride is not None and not name.pyramid:
        raise ModelError(f"{config.name} has one map of features: the option 'feature_stride' is for those with fpn.")
    if stride is None or (isinstance(stride, int) and stride in _STRIDES):
        return stride
    known = ", ".join(map(str, _STRIDES))
    raise ModelError(f"{config.name}: the option 'feature_stride' is {stride!r}; known: {known}.")


def _proposals(config: ModelConfig, count: object) -> dict[str, int]:
    """The number of proposals of an image, in training and in evaluation."""
    if count is None:
        return {}
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ModelError(f"{config.name}: the option 'rpn_max_proposals' is {count!r}, and must be a number from 1.")
    return {"rpn_post_nms_top_n_train": count, "rpn_post_nms_top_n_test": count}


def _weight(config: ModelConfig, value: object, option: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ModelError(f"{config.name}: the option {option!r} is {value!r}, and must be a number from 0.")
    return float(value)


def _weighted_losses(weights: dict[str, float], module: nn.Module, arguments: Any, output: Any) -> Any:
    """Multiplies the losses of the region proposal network, which there are in training only."""
    boxes, losses = output
    return boxes, {name: loss * weights.get(name, 1.0) for name, loss in losses.items()}


def _check_options(name: DetectorName, config: ModelConfig) -> None:
    """Raises ModelError for unknown options, which torchvision's constructors would ignore silently."""
    known = set(inspect.signature(_CLASSES[name.family]).parameters) - _NO_OPTIONS
    if name.family in _FAMILIES:
        known |= {"anchor_size"} if name.family != "fcos" else set()
        known |= {"feature_stride", "rpn_max_proposals", *_RPN_LOSSES} if name.family == "fasterrcnn" else set()
        known |= {"trainable_backbone_layers"} if name.backbone in (*RESNETS, *MOBILENETS) else set()
    for option in config.options.keys() - known:
        hint = did_you_mean(option, known)
        raise ModelError(f"{config.name} has no option {option!r}; {hint}known: {', '.join(sorted(known))}.")


def classes_from_zero(module: nn.Module) -> nn.Module:
    """Makes a module whose class 0 is the background accept and return the user's classes, which start at 0.

    Uses hooks rather than a wrapper, so that its weights keep torchvision's names.
    """
    module.register_forward_pre_hook(_with_background)
    module.register_forward_hook(_without_background)
    return module


def _with_background(module: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...] | None:
    images, *rest = arguments
    if not rest or rest[0] is None:
        return None
    return images, [{**target, "labels": target["labels"] + 1} for target in rest[0]]


def _without_background(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> list[dict[str, Tensor]] | None:
    if isinstance(output, dict):  # the losses
        return None
    return [{**detected, "labels": detected["labels"] - 1} for detected in output]


def _fasterrcnn(
    name: DetectorName, backbone: Backbone, classes: int, anchor_size: float | None, given: dict[str, Any]
) -> nn.Module:
    """Builds Faster R-CNN (Ren et al. 2015) on a feature pyramid; v2 (Li et al. 2021) with torchvision's heads."""
    if len(backbone.strides) >= 4:
        sizes = _by_level(backbone, anchor_size or 32, octaves=1)
    else:
        sizes = [tuple(size * (anchor_size or 32) / 32 for size in _EVERY_SIZE)] * len(backbone.strides)
    anchors = _anchors(sizes)
    if name.pyramid == "fpn_v2":
        out = backbone.module.out_channels
        given["rpn_head"] = RPNHead(out, anchors.num_anchors_per_location()[0], conv_depth=2)
        given["box_head"] = FastRCNNConvFCHead((out, 7, 7), [256] * 4, [1024], norm_layer=nn.BatchNorm2d)
    if len(backbone.strides) == 1:  # the default pools from maps "0" to "3"
        given.setdefault("box_roi_pool", MultiScaleRoIAlign(["0"], output_size=7, sampling_ratio=2))
    module = FasterRCNN(backbone.module, classes + 1, rpn_anchor_generator=anchors, **given)
    return classes_from_zero(module)


def _retinanet(
    name: DetectorName, backbone: Backbone, classes: int, anchor_size: float | None, given: dict[str, Any]
) -> nn.Module:
    """Builds RetinaNet (Lin et al. 2017); v2 has group norm in the heads and the GIoU loss, as torchvision's has."""
    if name.pyramid:
        sizes = _by_level(backbone, anchor_size or 32, octaves=3)
    else:
        sizes = [tuple(size * (anchor_size or 32) / 32 for size in _EVERY_SIZE)]
    anchors = _anchors(sizes)
    if name.pyramid == "fpn_v2":
        out, each = backbone.module.out_channels, anchors.num_anchors_per_location()[0]
        given["head"] = RetinaNetHead(out, each, classes, norm_layer=partial(nn.GroupNorm, 32))
        given["head"].regression_head._loss_type = "giou"
    module: nn.Module = RetinaNet(backbone.module, classes, anchor_generator=anchors, **given)
    return module


def _fcos(
    name: DetectorName, backbone: Backbone, classes: int, anchor_size: float | None, given: dict[str, Any]
) -> nn.Module:
    """Builds FCOS (Tian et al. 2019): one point per cell, as wide as the stride, instead of anchors."""
    points = AnchorGenerator(tuple((stride,) for stride in backbone.strides), ((1.0,),) * len(backbone.strides))
    module: nn.Module = FCOS(backbone.module, classes, anchor_generator=points, **given)
    return module


def _by_level(backbone: Backbone, smallest: float, octaves: int) -> list[tuple[float, ...]]:
    """Returns the anchor sizes of each map: `smallest` on the finest, then in proportion to the stride, with `octaves`
    sizes per doubling."""
    scale = smallest / backbone.strides[0]
    each = [scale * stride for stride in backbone.strides]
    return [tuple(float(int(size * 2 ** (step / octaves))) for step in range(octaves)) for size in each]


def _anchors(sizes: list[tuple[float, ...]]) -> AnchorGenerator:
    return AnchorGenerator(tuple(sizes), (_RATIOS,) * len(sizes))


_CLASSES: dict[str, type[nn.Module]] = {
    "fasterrcnn": FasterRCNN,
    "retinanet": RetinaNet,
    "fcos": FCOS,
    "ssd": SSD,
    "ssdlite": SSD,
}
_NO_OPTIONS = {  # modules, which JSON cannot express, and values that the config sets elsewhere
    *("backbone", "num_classes", "min_size", "max_size", "size", "kwargs", "anchor_generator", "head"),
    *("proposal_matcher", "rpn_anchor_generator", "rpn_head", "box_roi_pool", "box_head", "box_predictor"),
}
_FAMILIES: dict[str, Callable[[DetectorName, Backbone, int, float | None, dict[str, Any]], nn.Module]] = {
    "fasterrcnn": _fasterrcnn,
    "retinanet": _retinanet,
    "fcos": _fcos,
}
