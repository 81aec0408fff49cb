"""An image and what it shows: as people annotated it, or as a network predicted it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle around an object, in pixels of the upright image: (0, 0) is its upper left corner, `right` and
    `bottom` lie outside the object."""

    class_name: str
    left: float
    top: float
    right: float
    bottom: float
    score: float | None = None  # 0..1, of a prediction; None: a person drew it


@dataclass(frozen=True, slots=True)
class Label:
    """A class of the image as a whole."""

    class_name: str
    score: float | None = None  # 0..1, of a prediction; None: a person gave it


@dataclass(frozen=True, slots=True)
class AnnotatedImage:
    """An image file, its size, and its boxes or labels (both empty: it shows nothing that is looked for)."""

    path: str  # as people name it: a path with "/", or archive.zip@entry
    width: int  # pixels, of the upright image
    height: int
    boxes: tuple[Box, ...] = ()
    labels: tuple[Label, ...] = ()  # of predictions: the most probable first
