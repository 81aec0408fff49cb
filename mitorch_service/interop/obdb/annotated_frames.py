"""Turns obdb's recordings into annotated images: each shape becomes the smallest box around it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from mitorch_service.annotations.annotated_image import AnnotatedImage, Box
from mitorch_service.interop.obdb.annotation_database import Frame, Recording, Shape
from mitorch_service.wording.counted import counted

Corners = tuple[float, float, float, float]

_TOLD = {  # what happened to a shape, as people are told
    "enclosed": "other than a rectangle: the box around it was taken",
    "no class": "without a class, left out",
    "no frame": "of a frame that meta does not have, left out",
    "no area": "without an area in the image, left out",
    "twice": "the same in several recordings of one image, taken once",
}


def annotated_frames(recordings: Sequence[Recording]) -> tuple[list[AnnotatedImage], list[str]]:
    """Returns the images in the order of the recordings and their frames, those without annotations too, and remarks on
    what was changed or left out. An image of several recordings comes once, with the boxes of all."""
    counts: Counter[str] = Counter()
    frames: dict[str, Frame] = {}
    boxes: dict[str, list[Box]] = {}
    for recording in recordings:
        for frame in recording.frames:
            frames.setdefault(frame.name, frame)
        for name, box in _boxes(recording, counts):
            taken = boxes.setdefault(name, [])
            if box in taken:
                counts["twice"] += 1
            else:
                taken.append(box)
    images = [AnnotatedImage(f.name, f.width, f.height, tuple(boxes.get(f.name, ()))) for f in frames.values()]
    return images, [f"{counted(counts[kind], 'annotation')} {told}" for kind, told in _TOLD.items() if counts[kind]]


def split_every(
    images: Sequence[AnnotatedImage], every: int
) -> tuple[list[AnnotatedImage], list[AnnotatedImage], list[str]]:
    """Returns the images to train with, those to validate with, and remarks.

    Of the images that show something the first and each `every`-th after it validate, and the same of the others: in
    obdb each tenth (weed_training, code/create_weed_dataset_od.py: make_simple_split). But an image with a class that
    no image to train with has is trained with, as nothing could learn it else.
    """
    places: Counter[bool] = Counter()
    validates = []
    for image in images:
        shows = bool(image.boxes or image.labels)
        validates.append(places[shows] % every == 0)
        places[shows] += 1
    trained = {name for image, held in zip(images, validates, strict=True) if not held for name in classes_of(image)}
    moved = 0
    for place, image in enumerate(images):
        classes = classes_of(image)
        if validates[place] and not classes <= trained:
            validates[place] = False
            trained |= classes
            moved += 1
    train = [image for image, held in zip(images, validates, strict=True) if not held]
    val = [image for image, held in zip(images, validates, strict=True) if held]
    told = f"{counted(moved, 'frame')} for validation to train instead, with a class that no other frame to train has"
    return train, val, [told] if moved else []


def classes_of(image: AnnotatedImage) -> set[str]:
    """The classes that an image shows, in its boxes or as a whole."""
    return {box.class_name for box in image.boxes} | {label.class_name for label in image.labels}


def _boxes(recording: Recording, counts: Counter[str]) -> Iterator[tuple[str, Box]]:
    known = {frame.name: frame for frame in recording.frames}
    for shape in recording.shapes:
        frame = _frame(recording, shape) or known.get(shape.image or "")
        corners = _corners(shape)
        if frame is None:
            counts["no frame"] += 1
        elif shape.class_name is None:
            counts["no class"] += 1
        elif corners is None or not _has_area(inside := _clipped(corners, frame)):
            counts["no area"] += 1
        else:
            counts["enclosed"] += shape.kind != "rectangle"
            yield frame.name, Box(shape.class_name, *inside)


def _frame(recording: Recording, shape: Shape) -> Frame | None:
    return recording.frames[shape.frame] if 0 <= shape.frame < len(recording.frames) else None


def _corners(shape: Shape) -> Corners | None:
    """The box around a shape; None if its points do not make one. CVAT's ellipses are a centre with the points to its
    right and above it, its masks end in their corners, and everything else is a list of points."""
    points = shape.points
    if shape.kind == "ellipse" and len(points) == 4:
        x, y, across, up = points
        points = (x - abs(across - x), y - abs(up - y), x + abs(across - x), y + abs(up - y))
    elif shape.kind == "mask":
        left, top, right, bottom = points[-4:] if len(points) >= 4 else (0.0,) * 4
        return left, top, right + 1, bottom + 1  # the last pixels that belong to it
    if len(points) < 4 or len(points) % 2:
        return None
    return min(points[::2]), min(points[1::2]), max(points[::2]), max(points[1::2])


def _clipped(corners: Corners, frame: Frame) -> Corners:
    left, top, right, bottom = corners
    return max(left, 0.0), max(top, 0.0), min(right, float(frame.width)), min(bottom, float(frame.height))


def _has_area(corners: Corners) -> bool:
    left, top, right, bottom = corners
    return left < right and top < bottom
