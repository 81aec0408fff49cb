"""Composes the config's augmentation steps into one function of an image and its boxes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.models.config.training_config import AugmentationConfig, AugmentationStep
from mitorch_service.models.config.validation import check
from mitorch_service.training.augmentation.builders import BUILDERS
from mitorch_service.training.augmentation.options import AUGMENTATIONS_GROUP, ON_BATCHES, OPTIONS
from mitorch_service.training.augmentation.placement import Placement
from mitorch_service.training.augmentation.presets import expand_presets
from mitorch_service.training.augmentation.transforms import SeededStep
from mitorch_service.training.data.targets import Boxes, Kind
from mitorch_service.training.plugins import load_plugin

# Steps that produce a square of the input size. Without any of them, a resizing step is added in front.
_SQUARE = {
    "resize",
    "letterbox",
    "center_crop",
    "resize_flip",
    "random_crop",
    "random_resized_crop",
    "random_sized_bbox_safe_crop",
    "inception",
}
_ON_TENSORS = ("random_erasing",)  # run last, whatever the config's order
_LEAST_VISIBLE = 0.1  # fraction of a box's area; boxes with less of it left after a crop are dropped
_LEAST_SIDE = 1.0  # pixels; smaller boxes are not trained on
_LEAST_MEASURED = 0.01  # pixels; in evaluation a box too small to be detected still counts as missed
_SPARE = 2.0  # images are decoded at this many times the size needed, because the resizing after it filters better

_FIXED = {"resize", "letterbox", "center_crop", "smallest_max_size"}  # steps that draw nothing and move pixels linearly
_LONGEST_PROBE = 4096  # pixels of a side of the blank image that finds a placement

_DETECTION = {
    "train": [AugmentationStep(name="random_iou_crop"), AugmentationStep(name="horizontal_flip")],
    "val": [AugmentationStep(name="letterbox")],
}


def steps_for(config: AugmentationConfig, kind: Kind, part: str) -> Sequence[AugmentationStep]:
    """Returns the steps of ``train`` or ``val``: the config's, or the defaults for this kind of data."""
    if kind == "detection" and part not in config.model_fields_set:
        return _DETECTION[part]
    return config.train if part == "train" else config.val


class Augmentation:
    """The steps, applied in order. All that they draw follows from torch's global generator."""

    def __init__(
        self,
        on_pictures: Sequence[v2.Transform],
        on_tensors: Sequence[v2.Transform],
        shorter_side: int,
        least_side: float = _LEAST_SIDE,
    ) -> None:
        self._least_side = least_side
        self._on_pictures = on_pictures
        self._on_tensors = on_tensors
        self._together = v2.Compose(on_pictures)
        self.shorter_side = shorter_side  # pixels; decoding an image to this size loses nothing that the network sees

    def __call__(self, image: Image.Image, boxes: Boxes | None = None) -> tuple[Tensor, Boxes | None]:
        """Transforms an RGB image of any size to uint8 (3, H, W) and its boxes (K, 4) to the pixels of the result.

        H and W are the input size, except after `smallest_max_size` in detection. Boxes are clipped to the image; those
        of which less than a tenth remains are dropped, in training also those narrower than a pixel.
        """
        if boxes is None:
            image = self._together(image)
        else:
            image, boxes = self._with_boxes(image, boxes)
        tensor: Tensor = v2.functional.pil_to_tensor(image)
        for transform in self._on_tensors:
            tensor = transform(tensor)
        return tensor, boxes

    def placement(self, size: tuple[int, int]) -> Placement:
        """Returns where the steps put an image of this size, width and height in pixels; for fixed steps only."""
        part = min(1.0, _LONGEST_PROBE / max(size))
        image = Image.new("RGB", (max(1, round(size[0] * part)), max(1, round(size[1] * part))))
        width, height = image.size
        moved = tv_tensors.BoundingBoxes(
            [[0, 0, width, height], [0, 0, width / 2, height / 2]],
            format="XYXY",
            canvas_size=(height, width),
            dtype=torch.float32,
            clamping_mode=None,
        )
        for transform in self._on_pictures:
            image, moved = transform(image, moved)
        return Placement.between(size, moved.as_subclass(Tensor))

    def _with_boxes(self, image: Image.Image, boxes: Boxes) -> tuple[Image.Image, Boxes]:
        corners = torch.from_numpy(boxes.boxes)
        visible = torch.ones(len(boxes))
        for transform in self._on_pictures:
            canvas = (image.height, image.width)
            moved = tv_tensors.BoundingBoxes(corners, format="XYXY", canvas_size=canvas, clamping_mode=None)
            image, moved = transform(image, moved)
            whole = moved.as_subclass(Tensor)
            limit = torch.tensor([image.width, image.height] * 2, dtype=torch.float32)
            corners = whole.clamp(min=torch.zeros(4), max=limit)
            visible = visible * _area(corners) / _area(whole).clamp(min=1e-6)
        sides = corners[:, 2:] - corners[:, :2]
        kept = ((visible >= _LEAST_VISIBLE) & (sides >= self._least_side).all(1)).numpy()
        return image, Boxes(boxes.labels[kept], corners.numpy().astype(np.float32)[kept])


def build_augmentation(
    steps: Sequence[AugmentationStep],
    input_size: int,
    mean: Sequence[float],
    kind: Kind = "multiclass",
    *,
    training: bool = True,
) -> Augmentation:
    """Builds the steps in their order, without those that mix batches (see `Mixing`).

    `mean`: per channel in 0..1, the colour for erased rectangles. `training`: False for evaluation. Raises InvalidInput
    for options that a step does not accept.
    """
    steps = [step for step in _sized(expand_presets(steps), kind) if step.name not in ON_BATCHES]
    colour = [round(255 * value) for value in mean]
    on_pictures: list[v2.Transform] = []
    on_tensors: list[v2.Transform] = []
    detail = 1.0
    for step in steps:
        built, part = _build(step, input_size, kind, colour)
        (on_tensors if step.name in _ON_TENSORS else on_pictures).append(built)
        detail *= part
    shorter_side = math.ceil(input_size * max(_SPARE, detail))
    return Augmentation(on_pictures, on_tensors, shorter_side, _LEAST_SIDE if training else _LEAST_MEASURED)


def is_fixed(steps: Sequence[AugmentationStep]) -> bool:
    """Returns whether the steps give an image of one size always the same place in the network's input."""
    return all(step.name in _FIXED for step in expand_presets(steps))


def _sized(steps: list[AugmentationStep], kind: Kind) -> list[AugmentationStep]:
    names = {step.name for step in steps}
    crop = max((place for place, step in enumerate(steps) if step.name == "random_iou_crop"), default=-1)
    after_crop = {step.name for step in steps[crop + 1 :]}
    if after_crop & _SQUARE or (kind == "detection" and "smallest_max_size" in names):
        return steps
    if "smallest_max_size" in names:
        return [*steps, AugmentationStep(name="center_crop", options={"crop_ratio": 1})]
    if crop >= 0:  # its result has any size
        return [*steps, AugmentationStep(name="letterbox" if kind == "detection" else "resize")]
    return [AugmentationStep(name="letterbox" if kind == "detection" else "resize"), *steps]


def _build(step: AugmentationStep, size: int, kind: Kind, colour: Sequence[int]) -> tuple[v2.Transform, float]:
    """Returns the transform, and the shorter side that it needs of an image, as a multiple of the input size."""
    if step.name not in OPTIONS:
        plugin: Callable[[dict[str, Any], int], v2.Transform] = load_plugin(AUGMENTATIONS_GROUP, step.name)
        return SeededStep(plugin(step.options, size)), _SPARE
    parsed, problems = check(OPTIONS[step.name], step.options)
    if parsed is None:
        found = [Problem(f"{step.name}.{problem.path}", problem.message) for problem in problems]
        raise InvalidInput("augmentation", found)
    built = BUILDERS[step.name](parsed, size, kind, colour)
    return built, _detail(parsed)


def _detail(options: Any) -> float:
    """Returns the reciprocal of the smallest fraction of a side that the step may crop to."""
    if (ratio := getattr(options, "crop_ratio", None)) is not None:
        return 1 / float(ratio)
    if (least := getattr(options, "min_scale", None)) is not None:
        return 1 / float(least)
    if hasattr(options, "erosion"):
        return 4.0  # the boxes may be few, small and close together
    if hasattr(options, "scale") and hasattr(options, "ratio") and not hasattr(options, "p"):
        return 1 / math.sqrt(options.scale[0])
    return 1.0


def _area(corners: Tensor) -> Tensor:
    return (corners[:, 2] - corners[:, 0]).clamp(min=0) * (corners[:, 3] - corners[:, 1]).clamp(min=0)
