"""Sample images of a data set, read from its files where this machine reaches them, and images that splits share.

Needs Pillow and numpy of the extra `train`, which are imported when something is read.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from mitorch_service.errors import DataError, MissingExtra
from mitorch_service.models.blob_storage.sas import is_url
from mitorch_service.models.dataset import Dataset
from mitorch_service.wording.counted import are, counted

if TYPE_CHECKING:
    from PIL import Image

    from mitorch_service.training.data.image_list import ImageList
    from mitorch_service.training.data.targets import Boxes

MOST_SAMPLES = 24
SIDE = 320  # pixels, at most, of a sample
_SHORTER = 160  # down to which a JPEG is decoded at once
_MOST_PIXELS = 40_000_000
_MOST_BYTES = 64 << 20  # of an image's file
_MOST_LIST_BYTES = 256 << 20  # of a split's file
_QUALITY = 82
_SHOWN_LABELS = 5


@dataclass(frozen=True)
class SampleBox:
    """A box in shares of the picture's width and height, from the top left."""

    label: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Sample:
    """A small copy of an image: decoded and encoded anew, without its metadata."""

    split: str
    labels: Sequence[str]
    boxes: Sequence[SampleBox]
    webp: bytes
    width: int
    height: int


@dataclass(frozen=True)
class Samples:
    """The sample images of a version, and the images that its splits share."""

    samples: Sequence[Sample] = ()
    damaged: int = 0  # chosen images that could not be decoded
    leaks: Mapping[str, str] = field(default_factory=dict)  # split -> what it shares with train; empty: nothing
    problem: str | None = None  # why there are none


def read_samples(dataset: Dataset, seed: int) -> Samples:
    """Reads up to 24 images, evenly over the classes of the training split, the same ones for the same seed. Never
    raises: the reason is a part of the result."""
    if any(is_url(split.path) for split in dataset.splits().values()):
        return Samples(problem="Its files are in blob storage, from which this page reads nothing.")
    if not all(map(find_spec, ("PIL", "numpy"))):
        return Samples(problem=str(MissingExtra("Pillow", "train")))
    try:
        lists = dict(_lists(dataset))
        chosen = choose(lists["train"], MOST_SAMPLES, seed)
        found = [_sample(lists["train"], index) for index in chosen]
        return Samples([one for one in found if one is not None], found.count(None), _leaks(dataset, lists))
    except (DataError, OSError, MemoryError) as error:
        return Samples(problem=f"Its files cannot be read on this machine: {error}")


def choose(images: ImageList, most: int, seed: int) -> list[int]:
    """Indices of images, one of each class in turn: the classes and the images of each are shuffled by the seed."""
    draw = random.Random(seed)
    by_class: dict[int, list[int]] = {}
    for index in range(len(images)):
        for label in _labels(images, index) or [-1]:
            by_class.setdefault(label, []).append(index)
    queues = [by_class[label] for label in sorted(by_class)]
    draw.shuffle(queues)
    for queue in queues[: most * 4]:
        draw.shuffle(queue)
    chosen: dict[int, None] = {}
    while len(chosen) < most and any(queues):
        for queue in queues:
            while queue and queue[-1] in chosen:
                queue.pop()
            if queue and len(chosen) < most:
                chosen[queue.pop()] = None
    return list(chosen)


def _lists(dataset: Dataset) -> Iterator[tuple[str, ImageList]]:
    from mitorch_service.training.data.class_names import ClassList
    from mitorch_service.training.data.formats.registry import read_image_list

    classes = None
    for name, split in sorted(dataset.splits().items(), key=lambda item: item[0] != "train"):
        path = Path(split.path)
        if path.is_file() and path.stat().st_size > _MOST_LIST_BYTES:
            raise DataError(
                f"{path} has {path.stat().st_size >> 20} MB, more than a page reads ({_MOST_LIST_BYTES >> 20})."
            )
        images = read_image_list(path, f"{dataset.ref} {name}", classes, name)
        if classes is None and images.classes_named:
            classes = ClassList(images.classes, f"the classes of {images.name}")
        yield name, images


def _labels(images: ImageList, index: int) -> list[int]:
    target = images.target(index)
    if isinstance(target, int):
        return [target]
    return list(dict.fromkeys(target if isinstance(target, tuple) else target.labels.tolist()))


def _sample(images: ImageList, index: int) -> Sample | None:
    """None for an image that cannot be read."""
    from mitorch_service.training.data.images.decoding import decode
    from mitorch_service.training.data.images.image_files import DAMAGES, Limits, image_file
    from mitorch_service.training.data.targets import Boxes

    location, target = images.location(index), images.target(index)
    try:
        file = image_file(location, images.archives, Limits(_MOST_PIXELS, _MOST_BYTES))
        if isinstance(file, Path) and file.stat().st_size > _MOST_BYTES:
            return None
        picture = decode(file, _SHORTER, _MOST_PIXELS)
        boxes = _boxes(picture.map_boxes(target), images, picture.image) if isinstance(target, Boxes) else []
        small = picture.image.copy()
        small.thumbnail((SIDE, SIDE))
        kept = BytesIO()
        small.save(kept, "WEBP", quality=_QUALITY)
    except (DataError, *DAMAGES):
        return None
    names = [images.classes[label] for label in _labels(images, index)[:_SHOWN_LABELS]]
    return Sample("train", names, boxes, kept.getvalue(), *small.size)


def _boxes(boxes: Boxes, images: ImageList, picture: Image.Image) -> list[SampleBox]:
    width, height = picture.size
    return [
        SampleBox(images.classes[label], x1 / width, y1 / height, (x2 - x1) / width, (y2 - y1) / height)
        for label, (x1, y1, x2, y2) in zip(boxes.labels.tolist(), boxes.boxes.tolist(), strict=True)
    ]


def _leaks(dataset: Dataset, lists: Mapping[str, ImageList]) -> dict[str, str]:
    """Tells the images that each other split shares with train, and the near-duplicates that a check has found; splits
    that cannot be compared are left out."""
    from zipfile import BadZipFile

    from mitorch_service.training.data.duplicates import find_duplicates

    found = {}
    for name, images in lists.items():
        if name == "train":
            continue
        try:
            shared = find_duplicates(lists["train"], images)
        except (OSError, BadZipFile, KeyError):
            continue
        same = len(shared.by_path) + len(shared.by_content)
        contents = dataset.contents.get(name)
        near = contents.leaks.near_duplicates or 0 if contents is not None and contents.leaks is not None else 0
        parts = [f"{counted(same, 'image')} of {len(images):,} {are(same)} in train too"] if same else []
        parts += [f"{counted(near, 'image')} of {len(images):,} nearly the same as one before"] if near else []
        found[name] = ", ".join(parts)
    return found
