"""Finds where an image's pixels are in the network's input."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Placement:
    """The place of an image of one size in the network's input: x there is `offset` plus `scale` times x here."""

    size: tuple[int, int]  # of the image, width and height in pixels
    scale: Tensor  # float32 (2,), of x and y; negative where mirrored
    offset: Tensor  # float32 (2,), in pixels of the input

    @classmethod
    def between(cls, size: tuple[int, int], moved: Tensor) -> Placement:
        """From where a transform has moved two boxes (2, 4): the image's whole area, then its upper left quarter."""
        whole = torch.tensor(size, dtype=torch.float32)
        starts, ends = moved[0, :2], moved[0, 2:]
        mirrored = (moved[1, :2] - starts).abs() > (moved[1, 2:] - ends).abs()
        length = (ends - starts).clamp(min=1e-6)
        return cls(size, torch.where(mirrored, -length, length) / whole, torch.where(mirrored, ends, starts))

    def original(self, corners: Tensor) -> Tensor:
        """Converts boxes (K, 4) in the input to pixels of the image, clipped to it."""
        points = (corners.view(-1, 2, 2) - self.offset) / self.scale
        ordered = torch.stack([points.amin(1), points.amax(1)], 1)
        return ordered.clamp(min=torch.zeros(2), max=torch.tensor(self.size, dtype=torch.float32)).view(-1, 4)
