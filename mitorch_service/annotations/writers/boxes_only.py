"""Formats that have no place for the classes of whole images."""

from __future__ import annotations

from mitorch_service.annotations.annotated_image import AnnotatedImage
from mitorch_service.errors import DataError


def refuse_labels(image: AnnotatedImage, format: str) -> None:
    """Raises DataError for an image that has classes as a whole."""
    if image.labels:
        raise DataError(
            f"the image {image.path} has a class as a whole, for which {format} has no place. "
            "Write it as csv, text or cvat."
        )
