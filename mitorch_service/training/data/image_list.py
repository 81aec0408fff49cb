"""Which images a data set has, and the target of each: compact enough for millions, shared by forks."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from mitorch_service.errors import DataError
from mitorch_service.training.data.targets import Boxes, ClassSetTargets, ClassTargets, Kind, Targets
from mitorch_service.training.data.zip_files import ZipFiles


class PackedStrings:
    """Strings end to end in one block of bytes.

    A list of a million `str` costs some 80 bytes more for each, and a forked process copies all of it as soon
    as it counts references; this is one object for both.
    """

    def __init__(self, strings: Iterable[str]) -> None:
        block, self._ends = bytearray(), array("Q", [0])
        for string in strings:
            block += string.encode("utf-8", "surrogateescape")
            self._ends.append(len(block))
        self._block = bytes(block)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, index: int) -> str:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self._block[self._ends[index] : self._ends[index + 1]].decode("utf-8", "surrogateescape")

    def __iter__(self) -> Iterator[str]:
        block = self._block
        return (block[start:end].decode("utf-8", "surrogateescape") for start, end in pairwise(self._ends))

    def blocks(self) -> tuple[bytes | array[Any], ...]:
        """All that makes one different from another."""
        return self._block, self._ends


@dataclass(frozen=True)
class ImageLocation:
    """Where an image lies: a file, or one entry of a zip file."""

    path: Path
    entry: str | None = None

    def __str__(self) -> str:
        return str(self.path) if self.entry is None else f"{self.path}@{self.entry}"

    @classmethod
    def parse(cls, text: str, folder: Path) -> ImageLocation:
        """Reads ``path`` or ``archive.zip@entry``, relative to `folder`."""
        path, entry = split_entry(text)
        return cls(folder / path, entry)


def split_entry(text: str) -> tuple[str, str | None]:
    """``path``, or ``archive.zip`` and ``entry`` of ``archive.zip@entry``. Another ``@`` is part of a name."""
    split = text.lower().find(".zip@") + len(".zip") if "@" in text else 0
    return (text, None) if split < len(".zip") else (text[:split], text[split + 1 :])


@dataclass(frozen=True)
class ImageList:
    """One split of a data set: its images, and what each shows."""

    name: str  # for messages: the file, or the split
    folder: Path  # what the images' paths are relative to
    images: PackedStrings  # as written: a path, or zip@entry
    targets: Targets  # of each image
    classes: tuple[str, ...]
    classes_named: bool = True  # False: nothing names the classes; the names were made up from the ids
    stated_sizes: array[float] = field(default_factory=lambda: array("f"))  # two each, 0 for unknown ones; may be empty
    archives: ZipFiles = field(default_factory=ZipFiles, compare=False)  # of the images; loading processes share them

    def __len__(self) -> int:
        return len(self.images)

    @property
    def kind(self) -> Kind:
        """What the targets are, which tells the tasks that the data set is for."""
        return self.targets.kind

    def as_kind(self, kind: Kind) -> ImageList:
        """Images that show one class each are a multilabel set, too; any other kind is as it is."""
        if kind == "multilabel" and isinstance(self.targets, ClassTargets):
            return replace(self, targets=ClassSetTargets([label] for label in self.targets.labels))
        return self

    def location(self, index: int) -> ImageLocation:
        return ImageLocation.parse(self.images[index], self.folder)

    def stated_size(self, index: int) -> tuple[float, float] | None:
        """Width and height of one image in pixels as the data set's file has them, if it has."""
        width, height = self.stated_sizes[2 * index : 2 * index + 2] or (0, 0)
        return (width, height) if width and height else None

    def target(self, index: int) -> int | tuple[int, ...] | Boxes:
        """The class (multiclass), the classes (multilabel) or the boxes (detection) of one image."""
        return self.targets[index]

    def digest(self) -> str:
        """Differs where an image's path or target does, or their order; wherever the folder is."""
        found = hashlib.sha256()
        for block in self.images.blocks() + self.targets.blocks():
            found.update(memoryview(block))
        return found.hexdigest()


def same_classes(train: ImageList, val: ImageList) -> None:
    """Raises DataError unless both splits are of one kind, have one list of classes (two or more to tell apart, where
    each image has one), and each class validated is trained."""
    if train.kind != val.kind:
        raise DataError(
            f"{train.name} is a {train.kind} set and {val.name} a {val.kind} one. Give both the same kind of labels."
        )
    if len(train.classes) < 2 and train.kind == "multiclass":
        raise DataError(f"{train.name} has one class only: there is nothing to tell apart. Add images of another.")
    if train.classes_named and val.classes_named and train.classes != val.classes:
        difference = _first_difference(train.classes, val.classes)
        where = f"{train.name} and {val.name} have different classes"
        raise DataError(f"{where}: {difference}. Give both the same labels.txt.")
    trained = train.targets.images_per_class()
    validated = sorted(val.targets.images_per_class().items())
    unseen = {label: count for label, count in validated if label not in trained}
    if unseen:
        names = ", ".join(f"{val.classes[label]} (label {label}, {n} images)" for label, n in [*unseen.items()][:5])
        more = f" and {len(unseen) - 5} more" * (len(unseen) > 5)
        raise DataError(
            f"{val.name} has images of classes that {train.name} has none of: {names}{more}. "
            "Add training images of them, or remove these."
        )


def _first_difference(train: tuple[str, ...], val: tuple[str, ...]) -> str:
    for index, (one, other) in enumerate(zip(train, val, strict=False)):
        if one != other:
            return f"class {index} is {one!r} in one and {other!r} in the other"
    return f"{len(train)} in one and {len(val)} in the other"
