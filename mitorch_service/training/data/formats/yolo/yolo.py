"""YOLO: images in folders or lists, a file of labels for each, and ``data.yaml`` with the classes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mitorch_service.errors import DataError
from mitorch_service.training.data.boxes.enclosing_boxes import EnclosingBoxes
from mitorch_service.training.data.class_names import ClassList
from mitorch_service.training.data.formats.entries import Entry, collect_boxes
from mitorch_service.training.data.formats.folder_tree import files_below
from mitorch_service.training.data.formats.image_folders import has_image_suffix
from mitorch_service.training.data.formats.yolo.yolo_config import (
    DARKNET,
    NAMES,
    YAML,
    YoloConfig,
    find_config,
    find_listed,
    read_yolo_config,
)
from mitorch_service.training.data.formats.yolo.yolo_labels import (
    POINTS,
    POLYGONS,
    SCORES,
    LineForm,
    label_calls,
    label_file,
)
from mitorch_service.training.data.image_list import ImageList, PackedStrings
from mitorch_service.training.data.left_out import NO_IMAGE, LeftOut
from mitorch_service.training.data.parallel_readers import results
from mitorch_service.training.data.regular_files import is_file, is_folder, open_text

_NO_FILE_OF_LABELS = "a file of labels without an image"
_NO_SIZE = "a box of an image that cannot be read, in fractions of its size"
_REASONS = {SCORES: "the score of a box", POINTS: "the points that belong to a box"}


@dataclass(frozen=True)
class Yolo:
    """A data set: the file that describes it, and the folder of images if only that one was given."""

    config: Path
    images: Path | None = None


def find_yolo(path: Path) -> Yolo | None:
    """The data set whose ``data.yaml`` or ``obj.data``, folder with that file, or folder of images `path` is, or None.

    A folder of images is one of YOLO's if ``labels`` with text files is beside it, or beside the folder ``images``
    around it, and the description is in a folder around both.
    """
    if is_file(path):
        return Yolo(path) if path.suffix.lower() in {*YAML, DARKNET} else None
    if not is_folder(path):
        return None
    if own := next((path / name for name in NAMES if is_file(path / name)), None):
        return Yolo(own)
    images = path / "images" if is_folder(path / "images") and is_folder(path / "labels") else path
    labels = Path(label_file(f"{os.path.abspath(images)}/any.png")).parent  # noqa: PTH100 - no links are followed
    if labels == images.absolute() or not _has_labels(labels) or (config := find_config(path)) is None:
        return None
    return Yolo(config, images)


def has_split(path: Path, split: str) -> bool:
    """Whether `path` describes a data set with this split, and others."""
    yolo = find_yolo(path)
    return yolo is not None and yolo.images is None and split in read_yolo_config(yolo.config, str(path)).sources


def read_yolo(yolo: Yolo, name: str, classes: ClassList | None, split: str) -> ImageList:
    """Reads a detection set, of `split` where the file that describes it was given.

    The classes are those of the file, in its order; with `classes`, they are matched by name. An image without a file
    of labels shows nothing. Polygons become the boxes around them, which is counted and logged, as is what is left out.
    Labels are fractions of the image as it is to be seen: each labelled image is opened for its size. Raises DataError
    with the file and line for whatever does not fit.
    """
    config = read_yolo_config(yolo.config, name if yolo.images is None else str(yolo.config))
    left_out = LeftOut(name)
    if yolo.images is not None:
        root = yolo.config.absolute().parent
        names = _in_folder(yolo.images, root, left_out)
    else:
        root, names = config.root, _listed(config, split, name, left_out)
    images = PackedStrings(names)
    own = ClassList(config.classes, yolo.config.name) if config.named or classes is None else classes
    reader = _Reader(root, name, LineForm(len(own.names), config.keypoints), left_out)
    found = collect_boxes(reader.entries(images, own.names), name, "image", classes or own, [root])
    reader.log()
    return replace(found, classes_named=config.named or classes is not None)


def _has_labels(folder: Path) -> bool:
    if not is_folder(folder):
        return False
    return any(file.endswith(".txt") for _, _, files in os.walk(folder, followlinks=True) for file in files)


def _listed(config: YoloConfig, split: str, name: str, left_out: LeftOut) -> Iterator[str]:
    """The images of a split, relative to the root."""
    for source in config.of_split(split, name):
        path = find_listed(config.root, source)
        if is_folder(path):
            yield from _in_folder(path, config.root, left_out)
        elif is_file(path):
            yield from _in_list(path, config.root, name)
        else:
            raise DataError(f"{name}: {split} is {source}, but there is no such folder or file in {config.root}.")


def _in_folder(folder: Path, root: Path, left_out: LeftOut) -> Iterator[str]:
    prefix = os.path.relpath(folder, root)
    for file in files_below(folder, left_out):
        if has_image_suffix(file):
            yield file if prefix == "." else f"{prefix}/{file}"
        elif not file.endswith((".txt", ".cache", *YAML)):  # labels beside the images, and what Ultralytics keeps
            left_out.add(NO_IMAGE, f"{folder.name}/{file}")


def _in_list(path: Path, root: Path, name: str) -> Iterator[str]:
    """The images that a text file lists, one in each line: relative to it, or to the root."""
    try:
        with open_text(path) as file:
            lines = [line for text in file if (line := text.strip())]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{name}: {path} cannot be read as UTF-8 text ({error}).") from error
    if not lines:
        return
    base, dropped = _base(path, root, lines[0])
    prefix = os.path.relpath(base, root)
    for line in lines:
        image = line.removeprefix("./")
        image = image.partition("/")[2] if dropped else image
        yield image if prefix == "." or image.startswith("/") else os.path.normpath(f"{prefix}/{image}")


def _base(path: Path, root: Path, first: str) -> tuple[Path, bool]:
    """The folder that the lines start from, and whether their first folder is to be dropped (``data/`` of Darknet)."""
    for dropped in (False, True):
        image = first.removeprefix("./").partition("/")[2] if dropped else first
        for folder in (path.parent, root):
            if image and is_file(folder / image):
                return folder, dropped
    return path.parent, False


class _Reader:
    """Reads the labels of a list of images, and counts what it meets."""

    def __init__(self, root: Path, name: str, form: LineForm, left_out: LeftOut) -> None:
        self._root, self._name, self._form, self._left_out = root, name, form, left_out
        self._kinds: Counter[str] = Counter()
        self._labelled = 0  # images with a file of labels

    def entries(self, images: PackedStrings, classes: Sequence[str]) -> Iterator[Entry]:
        """An entry for each image, followed by one for each of its boxes."""
        found = (labels for part in results(label_calls(self._root, self._form, images)) for labels in part)
        for image, labels in zip(images, found, strict=True):
            self._labelled += labels.has_file
            self._kinds += labels.kinds
            for _ in range(labels.lost):
                self._left_out.add(_NO_SIZE, image)
            yield Entry(image, image, size=labels.size)
            for class_id, corners in labels.boxes:
                yield Entry(image, image, classes[class_id], corners)
        if len(images) and not self._labelled:
            expected = self._root / label_file(images[0])
            raise DataError(f"{self._name}: no image has a file of labels, such as {expected}. Put them there.")
        self._count_unused(images)

    def log(self) -> None:
        """Logs what became boxes, and what is left out."""
        enclosing = EnclosingBoxes(self._name)
        if self._kinds[POLYGONS]:
            enclosing.add(POLYGONS, self._kinds[POLYGONS])
        for kind, reason in _REASONS.items():
            for _ in range(self._kinds[kind]):
                self._left_out.add(reason, "that of a line with more than five columns")
        enclosing.log()
        self._left_out.log()

    def _count_unused(self, images: PackedStrings) -> None:
        """Counts the files of labels that no image has, in the folders in which any image has its own."""
        used = {hash(label_file(image)) for image in images}
        folders = {os.path.dirname(label_file(image)) for image in images}  # noqa: PTH120 - speed
        for folder in sorted(folders):
            if f"/{folder}".rpartition("/labels")[1] and is_folder(self._root / folder):
                for file in sorted(os.listdir(self._root / folder)):  # noqa: PTH208 - speed
                    place = f"{folder}/{file}"
                    if file.endswith(".txt") and not file.startswith(".") and hash(place) not in used:
                        self._left_out.add(_NO_FILE_OF_LABELS, place)
