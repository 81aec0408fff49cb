"""The images whose labels may be wrong, with the labels that they have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mitorch_service.annotations.annotated_image import AnnotatedImage
from mitorch_service.training.data.annotated_images import annotated_images
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.suspects.ranking import Suspect


def suspect_images(suspects: Sequence[Suspect], lists: Mapping[str, ImageList]) -> list[AnnotatedImage]:
    """Returns each image once, in the order of the suspects, with its boxes or labels; its path is a whole one."""
    found = []
    for split, index in dict.fromkeys((one.split, one.index) for one in suspects):
        images = lists[split]
        for image, _ in annotated_images(images.select([index], images.name)):
            found.append(replace(image, path=str(images.location(index))))
    return found
