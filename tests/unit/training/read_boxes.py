"""The boxes of a data set that was read, as tests compare them."""

from __future__ import annotations

from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.data.targets import Boxes


def boxes(images: ImageList, index: int = 0) -> list[tuple[str, list[float]]]:
    """Returns class and corners (pixels, to a thousandth) of each box of an image."""
    target = images.target(index)
    assert isinstance(target, Boxes)
    return [
        (images.classes[label], [round(side, 3) for side in box])
        for label, box in zip(target.labels.tolist(), target.boxes.tolist(), strict=True)
    ]
