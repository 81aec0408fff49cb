"""Transforms that torchvision lacks, or lacks for boxes. All that they draw follows from torch's global generator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import torch
from PIL import Image
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from mitorch_service.training.seeding import others_seeded

_GREY = 114  # padding, in 0..255
_GEOMETRIC = ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate")


class Letterbox(v2.Transform):  # type: ignore[misc]
    """Resizes the longer side to `size` and pads the other equally at both ends."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        height, width = functional.get_size(flat_inputs[0])
        longer = max(height, width)
        height, width = (max(1, round(side * self._size / longer)) for side in (height, width))
        left, top = (self._size - width) // 2, (self._size - height) // 2
        padding = [left, top, self._size - width - left, self._size - height - top]
        return {"size": [height, width], "padding": padding}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        resized = self._call_kernel(functional.resize, inpt, size=params["size"])
        return self._call_kernel(functional.pad, resized, padding=params["padding"], fill=_GREY)


class ShorterSide(v2.Transform):  # type: ignore[misc]
    """Resizes the shorter side to `size`, or less so that the longer is at most `longest`; keeps the aspect ratio."""

    def __init__(self, size: int, longest: int) -> None:
        super().__init__()
        self._size = size
        self._longest = longest

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        height, width = functional.get_size(flat_inputs[0])
        factor = min(self._size / min(height, width), self._longest / max(height, width))
        return {"size": [max(1, round(height * factor)), max(1, round(width * factor))]}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(functional.resize, inpt, size=params["size"])


class BoxSafeCrop(v2.Transform):  # type: ignore[misc]
    """Crops a random part that contains the boxes' bounding rectangle, less a fraction `erosion` of it at each edge,
    and resizes it to a square of `size`."""

    def __init__(self, size: int, erosion: float) -> None:
        super().__init__()
        self._size = size
        self._erosion = erosion

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        height, width = functional.get_size(flat_inputs[0])
        boxes = [one for one in flat_inputs if isinstance(one, tv_tensors.BoundingBoxes) and len(one)]
        if boxes:
            x_min, y_min = boxes[0][:, :2].amin(0).tolist()
            x_max, y_max = boxes[0][:, 2:].amax(0).tolist()
        else:  # any part with at least half of each side
            x_min, y_min = (torch.rand(2) * torch.tensor([width, height]) / 2).tolist()
            x_max, y_max = x_min + width / 2, y_min + height / 2
        cut_x, cut_y = (x_max - x_min) * self._erosion, (y_max - y_min) * self._erosion
        left, top, right, bottom = torch.rand(4).tolist()
        left, top = int(left * (x_min + cut_x)), int(top * (y_min + cut_y))
        right = math.ceil(width - right * (width - x_max + cut_x))
        bottom = math.ceil(height - bottom * (height - y_max + cut_y))
        return {"top": top, "left": left, "height": max(1, bottom - top), "width": max(1, right - left)}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self._call_kernel(functional.resized_crop, inpt, **params, size=[self._size, self._size])


class IouCrop(v2.RandomIoUCrop):  # type: ignore[misc]
    """torchvision's crop, but leaves an image without boxes unchanged; torchvision's would loop forever."""

    def __init__(self, min_scale: float, overlaps: Sequence[float]) -> None:
        super().__init__(min_scale=min_scale, sampler_options=sorted({*overlaps, 1.0}))

    def forward(self, *inputs: Any) -> Any:
        if len(inputs) == 1:
            return inputs[0]
        return super().forward(*inputs) if len(inputs[1]) else inputs


class JpegArtefacts(v2.Transform):  # type: ignore[misc]
    """Compresses the image as a JPEG of random quality and decodes it again."""

    _transformed_types = (Image.Image,)

    def __init__(self, quality: tuple[int, int]) -> None:
        super().__init__()
        self._quality = quality

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        return {"quality": int(torch.randint(self._quality[0], self._quality[1] + 1, ()))}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        buffer = BytesIO()
        inpt.save(buffer, "JPEG", quality=params["quality"])
        return Image.open(buffer).convert("RGB")


class SeededStep(v2.Transform):  # type: ignore[misc]
    """A step of another package, which may draw from NumPy or `random`: seeds both with a number of torch's generator,
    so that an image is the same in every process and after a resumption."""

    def __init__(self, step: Any) -> None:
        super().__init__()
        self._step = step

    def forward(self, *inputs: Any) -> Any:
        with others_seeded(int(torch.randint(2**62, ()))):
            return self._step(*inputs)


class _MovesBoxes:
    """A mixin for torchvision's policies, which refuse boxes: applies geometric operations to the boxes as well."""

    _boxes: Any = None

    def forward(self, *inputs: Any) -> Any:
        if len(inputs) == 1:
            return super().forward(*inputs)  # type: ignore[misc]
        image, self._boxes = inputs
        try:
            image = super().forward(image)  # type: ignore[misc]
            return image, self._boxes
        finally:
            self._boxes = None

    def _apply_image_or_video_transform(self, image: Any, transform_id: str, magnitude: float, **how: Any) -> Any:
        apply = super()._apply_image_or_video_transform  # type: ignore[misc]
        if self._boxes is not None and transform_id in _GEOMETRIC:
            moved = apply(self._boxes, transform_id, magnitude, **how)
            self._boxes = functional.clamp_bounding_boxes(moved, clamping_mode="hard")  # stays cut off
        return apply(image, transform_id, magnitude, **how)


class AutoAugment(_MovesBoxes, v2.AutoAugment):  # type: ignore[misc]
    pass


class RandAugment(_MovesBoxes, v2.RandAugment):  # type: ignore[misc]
    pass


class TrivialAugment(_MovesBoxes, v2.TrivialAugmentWide):  # type: ignore[misc]
    pass


class AugMix(v2.AugMix):  # type: ignore[misc]
    """Uses only colour operations on images with boxes: a blend that shows an object in several places has no box."""

    def forward(self, *inputs: Any) -> Any:
        if len(inputs) == 1:
            return super().forward(*inputs)
        return self._colours_only(inputs[0]), inputs[1]

    def _colours_only(self, image: Any) -> Any:
        self._AUGMENTATION_SPACE = {
            name: how for name, how in v2.AugMix._AUGMENTATION_SPACE.items() if name not in _GEOMETRIC
        }
        try:
            return super().forward(image)
        finally:
            del self._AUGMENTATION_SPACE
