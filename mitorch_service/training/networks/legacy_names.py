"""Maps the model names of the original MiTorch (github.com/shonohs/mitorch_models) to ours.

Equivalent means the same architecture. Models that only the original has (its lite pyramids, YOLO, EfficientDet, small
ResNeXts) are not replaced silently: the error suggests similar ones.
"""

from __future__ import annotations

import re

_CLASSIFIERS = {
    "ConvMixer-1536/20": "convmixer_1536_20",
    "ConvMixer-768/32": "convmixer_768_32",
    **{f"EfficientNetB{size}": f"efficientnet_b{size}" for size in range(8)},
    "MobileNetV2": "mobilenetv2_100",
    "MobileNetV3": "mobilenetv3_large_100",
    "MobileNetV3Small": "mobilenetv3_small_100",
    "ResNext50": "resnext50_32x4d",
    "ResNext101": "resnext101_32x4d",
    "SEResNext50": "seresnext50_32x4d",
    "SEResNext101": "seresnext101_32x4d",
    "VGG16": "vgg16",
}
_NEAREST_CLASSIFIERS = {
    "Darknet19": ("darknet17", "darknet21"),
    "TinyDarknet": ("darknet17", "mobilenetv2_050"),
    "ResNext14": ("resnet14t", "resnext26ts"),
    "ResNext26": ("resnext26ts", "resnet26"),
    "SEResNext14": ("seresnext26ts", "resnet14t"),
    "SEResNext26": ("seresnext26d_32x4d", "seresnext26t_32x4d"),
    "ShuffleNet": ("mobilenetv2_100", "ghostnet_100"),
    "ShuffleNetV2": ("mobilenetv2_100", "ghostnetv2_100"),
    "SqueezeNet": ("mobilenetv3_small_050", "mobilenetv2_035"),
}
_DETECTORS = {
    "MobileNetV2-SSDLite": "mobilenet_v2-ssdlite",
    "MobileNetV3-SSDLite": "mobilenet_v3_large-ssdlite",
    "MobileNetV3Small-SSDLite": "mobilenet_v3_small-ssdlite",
    "YoloV2": None,
    "TinyYoloV2": None,
}
_DETECTOR = re.compile(r"(.+?)(?:-(FPN|FPNLite|MnasFPN|Sigmoid))?-(SSDLite|RetinaNet|RetinaNetLite)")
_EFFICIENT_DET = re.compile(r"EfficientDetD([0-7])")


def equivalent(name: str) -> str | None:
    """Returns our name for the same architecture, or None."""
    if name in _CLASSIFIERS:
        return _CLASSIFIERS[name]
    if _DETECTORS.get(name):
        return _DETECTORS[name]
    found = _DETECTOR.fullmatch(name)
    if found is None or found[1] not in _CLASSIFIERS:
        return None
    if (found[2], found[3]) == ("FPN", "RetinaNet"):
        return f"{_CLASSIFIERS[found[1]]}-fpn-retinanet"
    return f"{_CLASSIFIERS[found[1]]}-ssdlite" if (found[2], found[3]) == (None, "SSDLite") else None


def nearest_to_original(name: str) -> tuple[str, ...]:
    """Returns models similar to one of the original that has no equivalent; empty if the original has no such name."""
    if name in _NEAREST_CLASSIFIERS:
        return _NEAREST_CLASSIFIERS[name]
    if name in _DETECTORS:
        return "mobilenet_v2-ssdlite", "mobilenet_v3_large-ssdlite"
    if found := _EFFICIENT_DET.fullmatch(name):
        return (f"efficientnet_b{found[1]}-fpn-retinanet",)
    found = _DETECTOR.fullmatch(name)
    if found is None or found[1] not in _CLASSIFIERS.keys() | _NEAREST_CLASSIFIERS.keys():
        return ()
    backbone = _CLASSIFIERS.get(found[1]) or _NEAREST_CLASSIFIERS[found[1]][0]
    near = f"{backbone}-ssdlite" if found[3] == "SSDLite" else f"{backbone}-fpn-retinanet"
    return (near,)
