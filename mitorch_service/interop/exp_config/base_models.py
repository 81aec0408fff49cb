"""The models of TensorFlow's zoo (object detection, versions 1 and 2), and those of ours that are nearest to them."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, replace

from mitorch_service.training.networks.detectors.detector_names import DetectorName, parse_detector
from mitorch_service.training.networks.model_names import DETECTION, unknown_model_problem


@dataclass(frozen=True)
class NearestModel:
    """A detector of ours, with the sizes at which it is trained like the one of the zoo."""

    name: str
    input_size: int = 640  # pixels of the longer side
    batch_size: int = 2
    base_lr: float = 0.0025  # of SGD with momentum, for that batch size

    @property
    def two_stage(self) -> bool:
        """Whether it has a first stage."""
        return self.name.endswith("-fasterrcnn")


_FASTER = NearestModel("resnet50-fpn-fasterrcnn", 1024)
_SSD = NearestModel("mobilenet_v2-ssdlite", 320, 16, 0.01)
_RETINA = NearestModel("resnet50-fpn-retinanet", 640, 4)
_FCOS = NearestModel("resnet50-fpn-fcos", 512, 4)
# The beginning of a name, without its version of the weights; the longest that fits decides.
_ZOO: dict[str, NearestModel] = {
    "faster_rcnn_resnet50": _FASTER,
    "faster_rcnn_resnet101": replace(_FASTER, name="resnet101-fpn-fasterrcnn"),
    "faster_rcnn_resnet152": replace(_FASTER, name="resnet152-fpn-fasterrcnn"),
    "faster_rcnn_inception_v2": replace(_FASTER, name="inception_v3-fpn-fasterrcnn"),
    "faster_rcnn_inception_resnet_v2": replace(_FASTER, name="inception_resnet_v2-fpn-fasterrcnn"),
    "rfcn_resnet101": replace(_FASTER, name="resnet101-fpn-fasterrcnn"),
    "ssd_mobilenet_v1": _SSD,
    "ssd_mobilenet_v1_fpn": replace(_RETINA, name="mobilenet_v2-fpn-retinanet"),
    "ssd_mobilenet_v2": _SSD,
    "ssd_mobilenet_v2_fpnlite": replace(_RETINA, name="mobilenet_v2-fpn-retinanet"),
    "ssd_mobilenet_v3_large": replace(_SSD, name="mobilenet_v3_large-ssdlite"),
    "ssd_mobilenet_v3_small": replace(_SSD, name="mobilenet_v3_small-ssdlite"),
    "ssdlite_mobilenet_v2": _SSD,
    "ssd_inception_v2": replace(_SSD, name="inception_v3-ssdlite", input_size=300),
    "ssd_resnet50_v1_fpn": _RETINA,
    "ssd_resnet101_v1_fpn": replace(_RETINA, name="resnet101-fpn-retinanet"),
    "ssd_resnet152_v1_fpn": replace(_RETINA, name="resnet152-fpn-retinanet"),
    **{
        f"efficientdet_d{number}": NearestModel(f"efficientnet_b{number}-fpn-retinanet", size, 4)
        for number, size in enumerate((512, 640, 768, 896, 1024, 1280, 1280, 1536))
    },
    "centernet_resnet50": _FCOS,
    "centernet_resnet101": replace(_FCOS, name="resnet101-fpn-fcos"),
    "centernet_mobilenetv2_fpn": replace(_FCOS, name="mobilenet_v2-fpn-fcos"),
}
_TRAINED_ON = re.compile(r"_(coco|oid|kitti|ava|fgvc|pets|snapshot|inaturalist|open_images|objects365)\w*.*$")
_SIDES = re.compile(r"_(\d{3,4})x(\d{3,4})")
_SHOWN = 3


def nearest_model(base_model: str) -> NearestModel | None:
    """Returns the detector for a BASE_MODEL: a name of the zoo, with or without data set and date, or one of ours; None
    for any other."""
    name = base_model.strip().lower()
    stem = _TRAINED_ON.sub("", name)
    fitting = [begin for begin in _ZOO if stem == begin or stem.startswith((f"{begin}_", f"{begin}-"))]
    if fitting:
        found = _ZOO[max(fitting, key=len)]
        sides = _SIDES.search(name)
        return found if sides is None else replace(found, input_size=max(int(sides[1]), int(sides[2])))
    ours = parse_detector(base_model)
    if ours is None or unknown_model_problem(base_model, DETECTION) is not None:
        return None
    return _like(ours)


def _like(ours: DetectorName) -> NearestModel:
    family = {"fasterrcnn": _FASTER, "retinanet": _RETINA, "fcos": _FCOS, "ssd": _SSD, "ssdlite": _SSD}[ours.family]
    return replace(family, name=str(ours))


def unknown_base_model(base_model: str) -> str:
    """Returns why a BASE_MODEL cannot be trained, with the nearest three that can; empty if it can."""
    if nearest_model(base_model) is not None:
        return ""
    stem = _TRAINED_ON.sub("", base_model.strip().lower())
    near = difflib.get_close_matches(stem, _ZOO, n=_SHOWN, cutoff=0.0)
    return f"{base_model!r} has no counterpart here; the nearest are {', '.join(near)} (see docs/exp_config.md)"


def zoo_table() -> dict[str, NearestModel]:
    """Returns the models of the zoo by the beginnings of their names, and their counterparts."""
    return dict(_ZOO)
