"""The targets of a data set's images: one class, several, or boxes for each, all in a few flat arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Kind = Literal["multiclass", "multilabel", "detection"]


@dataclass(frozen=True)
class Boxes:
    """The K >= 0 boxes of one image.

    Corners are in pixels from the top left, continuous (a box around the first pixel is 0, 0, 1, 1), and in a data set
    those of the stored image, before its EXIF orientation is applied.
    """

    labels: NDArray[np.int64]  # (K,)
    boxes: NDArray[np.float32]  # (K, 4): x_min, y_min, x_max, y_max

    def __len__(self) -> int:
        return len(self.labels)


class Targets(ABC):
    """A sequence with one target per image."""

    kind: Kind

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: int) -> int | tuple[int, ...] | Boxes: ...

    @abstractmethod
    def images_per_class(self) -> Counter[int]:
        """The number of images that show each class (detection: of its boxes); classes without any are left out."""

    @abstractmethod
    def renumbered(self, numbers: Sequence[int]) -> Targets:
        """The same targets, with `numbers[label]` for each label."""

    @abstractmethod
    def selected(self, indices: Sequence[int]) -> Targets:
        """The targets of the images with these indices, in this order."""

    @abstractmethod
    def labels_of(self, index: int) -> Sequence[int]:
        """The classes of one image (detection: of each box), without NumPy."""

    def corners_of(self, index: int) -> Sequence[float]:
        """Four for each box of one image, without NumPy; empty for classes."""
        return ()

    @abstractmethod
    def blocks(self) -> tuple[array[int] | array[float], ...]:
        """The whole content, for a digest."""


class ClassTargets(Targets):
    """One class per image."""

    kind: Kind = "multiclass"

    def __init__(self, labels: Iterable[int] = ()) -> None:
        """An array is kept, not copied."""
        self.labels = labels if isinstance(labels, array) else array("i", labels)

    def append(self, labels: Sequence[int]) -> None:
        """Adds the next image's only class."""
        self.labels.append(labels[0])

    def as_sets(self) -> ClassSetTargets:
        """The same classes as sets of one each."""
        return ClassSetTargets([label] for label in self.labels)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> int:
        return self.labels[index]

    def images_per_class(self) -> Counter[int]:
        return Counter(self.labels)

    def selected(self, indices: Sequence[int]) -> ClassTargets:
        return ClassTargets(array("i", (self.labels[index] for index in indices)))

    def labels_of(self, index: int) -> Sequence[int]:
        return (self.labels[index],)

    def renumbered(self, numbers: Sequence[int]) -> ClassTargets:
        return ClassTargets(array("i", (numbers[label] for label in self.labels)))

    def blocks(self) -> tuple[array[int], ...]:
        return (self.labels,)


class ClassSetTargets(Targets):
    """Any number of classes per image, also none; each once, in ascending order."""

    kind: Kind = "multilabel"

    def __init__(self, sets: Iterable[Iterable[int]]) -> None:
        self._ends = array("Q", [0])
        self._labels = array("i")
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

    def selected(self, indices: Sequence[int]) -> ClassSetTargets:
        return ClassSetTargets(self[index] for index in indices)

    def labels_of(self, index: int) -> Sequence[int]:
        return self[index]

    def renumbered(self, numbers: Sequence[int]) -> ClassSetTargets:
        return ClassSetTargets([numbers[label] for label in self[index]] for index in range(len(self)))

    def blocks(self) -> tuple[array[int], ...]:
        return self._ends, self._labels


class BoxTargets(Targets):
    """Any number of boxes per image."""

    kind: Kind = "detection"

    def __init__(self, ends: array[int], labels: array[int], corners: array[float]) -> None:
        """`ends`: 0, then for each image the number of boxes up to its last one. `corners`: four for each label."""
        self._ends = ends
        self._labels = labels
        self._corners = corners

    @classmethod
    def grouped(cls, images: int, owners: array[int], labels: array[int], corners: array[float]) -> BoxTargets:
        """Sorts boxes by image, keeping the order within each. `owners`: the image number of each box."""
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

    def selected(self, indices: Sequence[int]) -> BoxTargets:
        ends, labels, corners = array("Q", [0]), array("q"), array("f")
        for index in indices:
            first, end = self._ends[index], self._ends[index + 1]
            labels.extend(self._labels[first:end])
            corners.extend(self._corners[4 * first : 4 * end])
            ends.append(len(labels))
        return BoxTargets(ends, labels, corners)

    def labels_of(self, index: int) -> Sequence[int]:
        return self._labels[self._ends[index] : self._ends[index + 1]]

    def corners_of(self, index: int) -> Sequence[float]:
        return self._corners[4 * self._ends[index] : 4 * self._ends[index + 1]]

    def renumbered(self, numbers: Sequence[int]) -> BoxTargets:
        return BoxTargets(self._ends, array("q", (numbers[label] for label in self._labels)), self._corners)

    def blocks(self) -> tuple[array[int] | array[float], ...]:
        return self._ends, self._labels, self._corners

    def images_without_box(self) -> int:
        """The number of images without a box."""
        return sum(first == end for first, end in pairwise(self._ends))
