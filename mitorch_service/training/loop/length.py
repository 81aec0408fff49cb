"""The length of a training."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Length:
    """How much a training does, at most."""

    epochs: int
    steps: int  # of an epoch
    images: int  # of an epoch, including those of a skipped last batch
    batch_size: int  # of all processes together

    def batch(self, step: int) -> int:
        """The number of images in a step's batch, of all processes together."""
        return min(self.batch_size, self.images - step * self.batch_size)
