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


@dataclass(frozen=True)
class BadImage:
    """Takes the place of an image that cannot be loaded. The main process raises the error, as PyTorch would bury an
    exception of a loading process in the text of its traceback."""

    message: str
    index: int  # in the data set


@dataclass
class Batch:
    """N images with their targets.

    Images are uint8 in 0..255 as loaded, and float32, normalized by `Network.mean` and `std`, for the network. They are
    one tensor if all have the same size.
    """

    images: Tensor | list[Tensor]  # (N, 3, H, W), or N of (3, H, W)
    # Classes int64 (N), or their weights float32 (N, classes), or boxes. Of images to be predicted, int64 (N, 2): width
    # and height of the upright image in pixels.
    targets: Tensor | list[BoxTarget]

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device, *, non_blocking: bool = False) -> Batch:
        """Copies the batch to the device."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Batch:
        """Copies the batch to page-locked memory, from which a GPU copies by itself. PyTorch's data loader calls it."""
        return self._each(torch.Tensor.pin_memory)

    def __reduce__(self) -> tuple[Callable[..., Batch], tuple[object, ...]]:
        """Packs the batch into at most three tensors: between processes each takes an open file at both ends."""
        if isinstance(self.targets, Tensor):
            return _unpacked, (_packed(self.images), self.targets)
        boxes, labels = ([one[name] for one in self.targets] for name in ("boxes", "labels"))
        return _unpacked, (_packed(self.images), _packed(boxes), _packed(labels))

    def _each(self, apply: Callable[[Tensor], Tensor]) -> Batch:
        images = apply(self.images) if isinstance(self.images, Tensor) else [apply(one) for one in self.images]
        if isinstance(self.targets, Tensor):
            return Batch(images, apply(self.targets))
        return Batch(images, [{name: apply(value) for name, value in one.items()} for one in self.targets])


def stack_images(samples: Sequence[Sample]) -> Tensor | list[Tensor]:
    """One tensor (N, 3, H, W) if all images have the same size, else a list of N."""
    images = [image for image, _ in samples]
    return torch.stack(images) if len({image.shape for image in images}) == 1 else images


_Packed = tuple[Tensor, list[torch.Size]]  # the elements of several tensors, one after the other, and their shapes


def _packed(tensors: Tensor | list[Tensor]) -> Tensor | _Packed:
    if isinstance(tensors, Tensor):
        return tensors
    return torch.cat([one.reshape(-1) for one in tensors]), [one.shape for one in tensors]


def _unpacked(images: Tensor | _Packed, targets: Tensor | _Packed, labels: _Packed | None = None) -> Batch:
    pixels = images if isinstance(images, Tensor) else _parts(images)
    if isinstance(targets, Tensor):
        return Batch(pixels, _own(targets))
    boxes, classes = (_parts((_own(values), shapes)) for values, shapes in (targets, labels or targets))
    return Batch(pixels, [{"boxes": one, "labels": other} for one, other in zip(boxes, classes, strict=True)])


def _parts(packed: _Packed) -> list[Tensor]:
    values, shapes = packed
    parts = torch.split(values, [shape.numel() for shape in shapes])
    return [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]


def _own(values: Tensor) -> Tensor:
    """Copies what is in shared memory: evaluators keep an epoch's targets, which would keep its files open."""
    return values.clone() if values.is_shared() else values  # type: ignore[no-untyped-call]
