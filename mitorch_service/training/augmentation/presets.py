"""Presets: names of the original MiTorch that expand to several augmentations. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mitorch_service.models.config.training_config import AugmentationStep

_Steps = list[tuple[str, dict[str, Any]]]

_CONTRAST: tuple[str, dict[str, Any]] = ("random_brightness_contrast", {})
_CROPS: _Steps = [("random_resized_crop", {}), ("horizontal_flip", {}), _CONTRAST]
_SURVEILLANCE: _Steps = [
    ("random_sized_bbox_safe_crop", {}),
    ("horizontal_flip", {}),
    ("image_compression", {"quality": [20, 100]}),
    _CONTRAST,
    ("to_gray", {"p": 0.1}),
]

# Equivalents of the classes of these names in github.com/shonohs/mitorch, mitorch/datasets, except for its cubic
# interpolation. Its numbered variants differed in details; here they are the same.
PRESETS: dict[str, _Steps] = {
    "random_resize": _CROPS,
    "random_resize_v2": _CROPS,
    "random_resize_v3": _CROPS,
    "random_resize_v4": _CROPS,
    "dev": _CROPS,
    "dev2": _CROPS,
    "center_crop_v2": [("center_crop", {})],
    "center_crop_v3": [("center_crop", {})],
    "random_resize_bbox": [("random_sized_bbox_safe_crop", {"erosion": 0.2}), ("flip", {}), _CONTRAST],
    "surveillance": _SURVEILLANCE,
}


def expand_presets(steps: Sequence[AugmentationStep]) -> list[AugmentationStep]:
    """Replaces each preset by its steps. A preset takes no options."""
    expanded = []
    for step in steps:
        parts = PRESETS.get(step.name)
        expanded += [step] if parts is None else [AugmentationStep(name=n, options=o) for n, o in parts]
    return expanded
