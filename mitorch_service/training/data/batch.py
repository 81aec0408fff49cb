"""A batch of images and targets, from the loading processes to the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# The target of an augmented image: a class, several, or {"boxes": float32 (K, 4), x_min, y_min, x_max, y_max in its
# pixels; "labels": int64 (K,)}.
BoxTarget = dict[str, Tensor]
Target = int | tuple[int, ...] | BoxTarget
Sample = tuple[Tensor, Target]


@dataclass
class Batch:
    """N images with their targets.

    Images are uint8 in 0..255 as loaded, and float32, normalized by `Network.mean` and `std`, for the network. They are
    one tensor if all have the same size.
    """

    images: Tensor | list[Tensor]  # (N, 3, H, W), or N of (3, H, W)
    targets: Tensor | list[BoxTarget]  # classes int64 (N), or their weights float32 (N, classes), or boxes

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device, *, non_blocking: bool = False) -> Batch:
        """Copies the batch to the device."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Batch:
        """Copies the batch to page-locked memory, from which a GPU copies by itself. PyTorch's data loader calls it."""
        return self._each(torch.Tensor.pin_memory)

    def _each(self, apply: Callable[[Tensor], Tensor]) -> Batch:
        images = apply(self.images) if isinstance(self.images, Tensor) else [apply(one) for one in self.images]
        if isinstance(self.targets, Tensor):
            return Batch(images, apply(self.targets))
        return Batch(images, [{name: apply(value) for name, value in one.items()} for one in self.targets])


def stack_images(samples: Sequence[Sample]) -> Tensor | list[Tensor]:
    """One tensor (N, 3, H, W) if all images have the same size, else a list of N."""
    images = [image for image, _ in samples]
    return torch.stack(images) if len({image.shape for image in images}) == 1 else images
