"""The images of an evaluation, for the files that name them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from mitorch_service.training.augmentation.pipeline import Augmentation
from mitorch_service.training.augmentation.placement import Placement
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.data.images.upright_size import upright_size


@dataclass(frozen=True)
class EvaluatedImages:
    """The images in the order in which an evaluator was given them, its samples."""

    images: ImageList
    order: Sequence[int]  # of each sample, its number in `images`
    augmentation: Augmentation | None = None  # that placed them in the network's input; None: anywhere
    _placements: dict[tuple[int, int], Placement] = field(default_factory=dict)  # by size

    @property
    def split(self) -> str:
        """The split's name."""
        return self.images.name

    def in_order(self) -> list[int]:
        """The samples in the order of the data set."""
        return sorted(range(len(self.order)), key=self.order.__getitem__)

    def file(self, sample: int) -> str:
        """The image's file, as the data set's file writes it."""
        return self.images.images[self.order[sample]]

    def original(self, sample: int, corners: Tensor) -> list[list[float]] | None:
        """Converts boxes (K, 4) in the network's input to pixels of the upright image, clipped to it. None if that
        cannot be known: the validation's transforms are random, or the image's size cannot be read again."""
        if self.augmentation is None:
            return None
        size = upright_size(self.images.location(self.order[sample]), self.images.archives)
        if size is None:
            return None
        if size not in self._placements:
            self._placements[size] = self.augmentation.placement(size)
        return self._placements[size].original(corners).tolist()
