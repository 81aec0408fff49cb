"""A data set's images and targets as the documents that predictions, exports and annotation tools share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import repeat

from mitorch_service.annotations.annotated_image import AnnotatedImage, Box, Label
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.data.images.stored_images import StoredImage, stored_images
from mitorch_service.training.data.targets import Boxes


def annotated_images(images: ImageList, *, read_heads: bool = True) -> Iterator[tuple[AnnotatedImage, StoredImage]]:
    """Yields each image with its boxes or classes, and how it is stored.

    Sizes and boxes are those of the image as it is to be seen. An image that cannot be read has the size that the data
    set states, or none (0, 0). `read_heads`: False takes what is stated for all, without opening an image.
    """
    heads = stored_images(images.folder, images.images) if read_heads else repeat(None, len(images))
    for index, (path, head) in enumerate(zip(images.images, heads, strict=True)):
        width, height = images.stated_size(index) or (0, 0)
        stored = head or StoredImage(round(width), round(height))
        yield AnnotatedImage(path, *stored.upright_size, *_content(images, index, stored)), stored


def as_stored(image: AnnotatedImage, stored: StoredImage) -> AnnotatedImage:
    """The image in pixels of its file, as most formats of data sets are read."""
    if stored.orientation == 1:
        return image
    boxes = []
    for box in image.boxes:
        left, top, right, bottom = stored.stored((box.left, box.top, box.right, box.bottom))
        boxes.append(replace(box, left=left, top=top, right=right, bottom=bottom))
    return replace(image, width=stored.width, height=stored.height, boxes=tuple(boxes))


def _content(images: ImageList, index: int, stored: StoredImage) -> tuple[tuple[Box, ...], tuple[Label, ...]]:
    target = images.target(index)
    if not isinstance(target, Boxes):
        labels = (target,) if isinstance(target, int) else target
        return (), tuple(Label(images.classes[label]) for label in labels)
    boxes = []
    for label, (x_min, y_min, x_max, y_max) in zip(target.labels.tolist(), target.boxes.tolist(), strict=True):
        boxes.append(Box(images.classes[label], *stored.upright((x_min, y_min, x_max, y_max))))
    return tuple(boxes), ()
