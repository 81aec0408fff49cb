"""What each image of a data set shows: one class, several, or boxes. A few flat arrays, however many the images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Kind = Literal["multiclass", "multilabel", "detection"]


@dataclass(frozen=True)
class Boxes:
    """The K boxes of one image, none being possible. Pixels are those stored, before any EXIF orientation."""

    labels: NDArray[np.int64]  # (K,)
    boxes: NDArray[np.float32]  # (K, 4): x_min, y_min, x_max, y_max

    def __len__(self) -> int:
        return len(self.labels)


class Targets(ABC):
    """A sequence with one entry per image, read only."""

    kind: Kind

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: int) -> int | tuple[int, ...] | Boxes: ...

    @abstractmethod
    def images_per_class(self) -> Counter[int]:
        """How many images show each class (detection: how many boxes it has); classes without any are left out."""

    @abstractmethod
    def blocks(self) -> tuple[array[Any], ...]:
        """All that makes one different from another."""


class ClassTargets(Targets):
    """One class per image."""

    kind: Kind = "multiclass"

    def __init__(self, labels: Iterable[int]) -> None:
        self.labels = labels if isinstance(labels, array) else array("i", labels)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> int:
        return self.labels[index]

    def images_per_class(self) -> Counter[int]:
        return Counter(self.labels)

    def blocks(self) -> tuple[array[Any], ...]:
        return (self.labels,)


class ClassSetTargets(Targets):
    """Any number of classes per image, none too; each once, in ascending order."""

    kind: Kind = "multilabel"

    def __init__(self, sets: Iterable[Iterable[int]]) -> None:
        self._ends, self._labels = array("Q", [0]), array("i")
        for labels in sets:
            self.append(labels)

    def append(self, labels: Iterable[int]) -> None:
        """Adds the next image's classes."""
        self._labels.extend(sorted(set(labels)))
        self._ends.append(len(self._labels))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, index: int) -> tuple[int, ...]:
        return tuple(self._labels[self._ends[index] : self._ends[index + 1]])

    def images_per_class(self) -> Counter[int]:
        return Counter(self._labels)

    def blocks(self) -> tuple[array[Any], ...]:
        return self._ends, self._labels


class BoxTargets(Targets):
    """Any number of boxes per image."""

    kind: Kind = "detection"

    def __init__(self, ends: array[int], labels: array[int], corners: array[float]) -> None:
        """`ends`: 0, then for each image the number of boxes up to its last one. `corners`: four for each label."""
        self._ends, self._labels, self._corners = ends, labels, corners

    @classmethod
    def grouped(cls, images: int, owners: array[int], labels: array[int], corners: array[float]) -> BoxTargets:
        """From boxes in any order, the image of each being in `owners`; those of one image keep their order."""
        counts = array("Q", bytes(8 * images))
        for owner in owners:
            counts[owner] += 1
        ends = array("Q", accumulate(counts, initial=0))
        if any(one > other for one, other in pairwise(owners)):
            order = sorted(range(len(owners)), key=owners.__getitem__)
            labels = array("q", (labels[box] for box in order))
            corners = array("f", (corners[4 * box + corner] for box in order for corner in range(4)))
        return cls(ends, labels, corners)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, index: int) -> Boxes:
        import numpy as np  # a machine that only submits has none

        first, end = self._ends[index], self._ends[index + 1]
        corners = np.array(self._corners[4 * first : 4 * end], np.float32).reshape(-1, 4)
        return Boxes(np.array(self._labels[first:end], np.int64), corners)

    def images_per_class(self) -> Counter[int]:
        return Counter(self._labels)

    def blocks(self) -> tuple[array[Any], ...]:
        return self._ends, self._labels, self._corners

    def images_without_box(self) -> int:
        """How many images show nothing of any class."""
        return sum(first == end for first, end in pairwise(self._ends))
