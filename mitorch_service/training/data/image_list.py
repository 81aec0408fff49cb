"""The images of a data set and the target of each: compact enough for millions, and shared by forks."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from mitorch_service.training.data.targets import Boxes, ClassTargets, Kind, Targets
from mitorch_service.training.data.zip_index import ZipFiles


class PackedStrings:
    """A sequence of strings, end to end in one block of bytes.

    A list of a million `str` takes about 80 bytes more for each, and a forked process copies all of it as soon as it
    counts references; this one counts none.
    """

    def __init__(self, strings: Iterable[str] = ()) -> None:
        self._block = bytearray()
        self._ends = array("Q", [0])
        for string in strings:
            self.append(string)

    def append(self, string: str) -> None:
        """Adds a string at the end."""
        self._block += string.encode("utf-8", "surrogateescape")
        self._ends.append(len(self._block))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, index: int) -> str:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self._block[self._ends[index] : self._ends[index + 1]].decode("utf-8", "surrogateescape")

    def __iter__(self) -> Iterator[str]:
        block = self._block
        return (block[start:end].decode("utf-8", "surrogateescape") for start, end in pairwise(self._ends))

    def blocks(self) -> tuple[bytearray | array[int], ...]:
        """The whole content, for a digest."""
        return self._block, self._ends


@dataclass(frozen=True)
class ImageLocation:
    """An image's file, or its entry in a zip archive."""

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
    """Splits ``archive.zip@entry`` into its two names; any other text is a path, with None. Another ``@`` is part of a
    name."""
    split = text.lower().find(".zip@") + len(".zip") if "@" in text else 0
    return (text, None) if split < len(".zip") else (text[:split], text[split + 1 :])


@dataclass(frozen=True)
class ImageList:
    """One split of a data set: its images and their targets."""

    name: str  # for messages: the file, or the split
    folder: Path  # what the images' paths are relative to
    images: PackedStrings  # as written: a path, or archive.zip@entry
    targets: Targets  # one per image
    classes: tuple[str, ...]
    classes_named: bool = True  # False: the names were made up from the ids
    stated_sizes: array[float] = field(
        default_factory=lambda: array("f")
    )  # empty, or width and height (0: unknown) each
    archives: ZipFiles = field(default_factory=ZipFiles, compare=False)  # of the images; loading processes share them

    def __len__(self) -> int:
        return len(self.images)

    @property
    def kind(self) -> Kind:
        """The kind of the targets, which decides the tasks that the data set is for."""
        return self.targets.kind

    def as_kind(self, kind: Kind) -> ImageList:
        """This list, or a multiclass one as the multilabel set that it also is."""
        if kind == "multilabel" and isinstance(self.targets, ClassTargets):
            return replace(self, targets=self.targets.as_sets())
        return self

    def select(self, indices: Sequence[int], name: str) -> ImageList:
        """The images with these indices, in this order, as a list with another name."""
        images = PackedStrings(self.images[index] for index in indices)
        sizes = array("f")
        if self.stated_sizes:
            for index in indices:
                sizes.extend(self.stated_sizes[2 * index : 2 * index + 2])
        targets = self.targets.selected(indices)
        return replace(self, name=name, images=images, targets=targets, stated_sizes=sizes)

    def location(self, index: int) -> ImageLocation:
        return ImageLocation.parse(self.images[index], self.folder)

    def stated_size(self, index: int) -> tuple[float, float] | None:
        """Width and height of one image in pixels, if the data set's file states them."""
        width, height = self.stated_sizes[2 * index : 2 * index + 2] or (0, 0)
        return (width, height) if width and height else None

    def target(self, index: int) -> int | tuple[int, ...] | Boxes:
        """The class (multiclass), the classes (multilabel) or the boxes (detection) of one image."""
        return self.targets[index]

    def digest(self) -> str:
        """The SHA-256 of the images' paths as written and their targets, in order; the folder does not matter."""
        found = hashlib.sha256()
        for block in self.images.blocks() + self.targets.blocks():
            found.update(memoryview(block))
        return found.hexdigest()
