"""Tells a set of boxes from one of classes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from mitorch_service.annotations.annotated_image import AnnotatedImage
from mitorch_service.errors import DataError


class ContentKind(NamedTuple):
    """The kind of a set, as its first image that shows something has it."""

    labels: bool  # classes of whole images; False: boxes
    scored: bool  # predictions


def content_kind(images: Iterator[AnnotatedImage], format: str) -> tuple[ContentKind, Iterator[AnnotatedImage]]:
    """The kind, and all images again; a set that shows nothing is one of boxes.

    The images raise DataError where one has classes in a set of boxes, or boxes in one of classes.
    """
    before: list[AnnotatedImage] = []
    for image in images:
        before.append(image)
        if image.boxes or image.labels:
            break
    first = before[-1] if before else None
    scores = [one.score for one in first.boxes] + [one.score for one in first.labels] if first is not None else []
    labels = first is not None and not first.boxes and bool(first.labels)
    kind = ContentKind(labels, bool(scores) and scores[0] is not None)
    return kind, _of_one_kind(chain(before, images), labels, format)


def _of_one_kind(images: Iterator[AnnotatedImage], labels: bool, format: str) -> Iterator[AnnotatedImage]:
    for image in images:
        if image.boxes if labels else image.labels:
            raise DataError(
                f"the image {image.path} has {'boxes' if labels else 'classes'}, others have "
                f"{'classes' if labels else 'boxes'}: a {format} file holds either. Write it as cvat, or apart."
            )
        yield image
