"""The names of the detectors, ``<backbone>[-fpn|-fpn_v2]-<family>``. Imports no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Family = Literal["fasterrcnn", "retinanet", "fcos", "ssd", "ssdlite"]
Pyramid = Literal["", "fpn", "fpn_v2"]

# torchvision's backbones, by its names; any other backbone is a timm model, by timm's name.
RESNETS = (
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "wide_resnet50_2",
    "wide_resnet101_2",
)
MOBILENETS = ("mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small")

_NAME = re.compile(r"([\w.]+)-(?:(fpn|fpn_v2)-)?(fasterrcnn|retinanet|fcos|ssdlite|ssd)")
_WITH_V2 = ("fasterrcnn", "retinanet")  # torchvision has an improved version of these
_TORCHVISION = re.compile(r"(fasterrcnn|retinanet|fcos)_(\w+?)(?:_320)?_(fpn(?:_v2)?)")


@dataclass(frozen=True)
class DetectorName:
    """A detector's name, parsed."""

    backbone: str
    pyramid: Pyramid
    family: Family

    def __str__(self) -> str:
        return "-".join(part for part in (self.backbone, self.pyramid, self.family) if part)


def parse_detector(name: str) -> DetectorName | None:
    """Parses our name or torchvision's (``fasterrcnn_resnet50_fpn_v2``); returns None if there is no such combination.

    Does not check whether timm has the backbone.
    """
    found = _NAME.fullmatch(_ours(name))
    if found is None:
        return None
    parsed = DetectorName(found[1], found[2] or "", found[3])  # type: ignore[arg-type]  # the pattern's alternatives
    return parsed if _exists(parsed) else None


def detector_names() -> tuple[str, ...]:
    """Returns all detectors on torchvision's backbones. ``<timm model>-fpn-<family>`` and ``<timm model>-ssdlite``
    exist as well."""
    families: tuple[Family, ...] = ("fasterrcnn", "retinanet", "fcos", "ssdlite", "ssd")
    pyramids: tuple[Pyramid, ...] = ("fpn", "fpn_v2", "")
    backbones = (*RESNETS, *MOBILENETS, "vgg16")
    every = (DetectorName(b, p, f) for f in families for p in pyramids for b in backbones)
    return tuple(str(one) for one in every if _exists(one) and (one.pyramid or one.backbone not in RESNETS))


def _ours(name: str) -> str:
    if name in _ALONE:
        return _ALONE[name]
    found = _TORCHVISION.fullmatch(name)
    return f"{found[2]}-{found[3]}-{found[1]}" if found else name


def _exists(name: DetectorName) -> bool:
    if name.family == "ssd":
        return name.backbone == "vgg16" and not name.pyramid
    if name.family == "ssdlite":
        return not name.pyramid and name.backbone != "vgg16"
    if name.pyramid == "":
        return name.backbone in MOBILENETS
    return (name.pyramid == "fpn" or name.family in _WITH_V2) and name.backbone != "vgg16"


_ALONE = {"ssd300_vgg16": "vgg16-ssd", "ssdlite320_mobilenet_v3_large": "mobilenet_v3_large-ssdlite"}
