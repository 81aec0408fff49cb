"""The names of the detectors, ``<backbone>[-fpn|-fpn_v2]-<family>``. Imports no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Family = Literal["fasterrcnn", "retinanet", "fcos", "ssd", "ssdlite"]
Pyramid = Literal["", "fpn", "fpn_v2"]

# Backbones of torchvision, by their names there; any other is a model of timm, by its name there.
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
_WITH_V2 = ("fasterrcnn", "retinanet")  # torchvision has an improved recipe of these
_TORCHVISION = re.compile(r"(fasterrcnn|retinanet|fcos)_(\w+?)(?:_320)?_(fpn(?:_v2)?)")


@dataclass(frozen=True)
class DetectorName:
    """The parts of a detector's name."""

    backbone: str
    pyramid: Pyramid
    family: Family

    def __str__(self) -> str:
        return "-".join(part for part in (self.backbone, self.pyramid, self.family) if part)


def parse_detector(name: str) -> DetectorName | None:
    """The parts of a name of ours, or of torchvision's own (``fasterrcnn_resnet50_fpn_v2``).

    None if there is no such combination; whether timm has the backbone is not looked at.
    """
    found = _NAME.fullmatch(_ours(name))
    if found is None:
        return None
    parsed = DetectorName(found[1], found[2] or "", found[3])  # type: ignore[arg-type]  # the pattern's alternatives
    return parsed if _exists(parsed) else None


def detector_names() -> tuple[str, ...]:
    """All with a backbone of torchvision. More: ``<timm model>-fpn-<family>`` and ``<timm model>-ssdlite``."""
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
