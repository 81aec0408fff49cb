"""Batches of images, in an order that depends on the seed alone."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from itertools import islice
from typing import Self

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from mitorch_service.errors import DataError
from mitorch_service.training.images import BadImage, ImageKey, Images
from mitorch_service.training.seeding import derived_seed

# Measured on one core of 2023: decoding and augmenting a small image, and each further pixel of the input.
_SECONDS_PER_IMAGE = 3e-4
_SECONDS_PER_PIXEL = 1e-7
_WORTH_WORKERS = 5.0  # seconds of loading an epoch: below, starting and feeding processes costs more than it gives


class EpochBatches(Sampler[list[ImageKey]]):
    """The images of one epoch in batches, shuffled anew for each epoch if there is a seed.

    `drop_single` leaves out a last batch of one image; `at_most` limits the batches.
    """

    def __init__(
        self,
        images: int,
        batch_size: int,
        *,
        shuffle_seed: int | None = None,
        drop_single: bool = False,
        at_most: int | None = None,
    ) -> None:
        self._images, self._batch_size = images, batch_size
        self._shuffle_seed = shuffle_seed
        self._drop_single = drop_single and batch_size > 1 and images > 1
        self._at_most = at_most
        self.epoch = 0

    def __len__(self) -> int:
        full, rest = divmod(self._images, self._batch_size)
        batches = full + (rest > 0) - (rest == 1 and self._drop_single)
        return batches if self._at_most is None else min(batches, self._at_most)

    def __iter__(self) -> Iterator[list[ImageKey]]:
        order = iter(self._order())
        for _ in range(len(self)):
            yield [ImageKey(self.epoch, index) for index in islice(order, self._batch_size)]

    def _order(self) -> list[int]:
        if self._shuffle_seed is None:
            return list(range(self._images))
        generator = torch.Generator().manual_seed(derived_seed(self._shuffle_seed, self.epoch))
        return torch.randperm(self._images, generator=generator).tolist()


class Batches:
    """Iterated once per epoch: pairs of images (N, 3, size, size) and classes (N), in pinned memory for CUDA.

    Raises DataError for an image that cannot be loaded.
    """

    def __init__(self, images: Images, order: EpochBatches, *, workers: int, pin_memory: bool = False) -> None:
        self._images, self._order = images, order
        self._loader = _loader(images, order, workers, pin_memory)

    def __len__(self) -> int:
        return len(self._order)

    @property
    def images(self) -> int:
        """How many images the data set has."""
        return len(self._images)

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of one epoch (0 is the first)."""
        self._order.epoch = number
        for batch in self._loader:
            if isinstance(batch, BadImage):
                raise DataError(batch.message)
            yield batch

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """Closes files and ends the loading processes."""
        self._images.close()
        del self._loader


def default_workers(images: int, input_size: int) -> int:
    """Loading processes that pay: none for a small set, else one per core this process may use.

    ``OMP_NUM_THREADS`` counts as such a limit: with it trainings share a machine.
    """
    if images * (_SECONDS_PER_IMAGE + _SECONDS_PER_PIXEL * input_size**2) < _WORTH_WORKERS:
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, torch.get_num_threads())


def _loader(
    images: Images, order: EpochBatches, workers: int, pin_memory: bool
) -> DataLoader[tuple[Tensor, int] | BadImage]:
    with warnings.catch_warnings():  # more processes than cores is a choice of the user's config
        warnings.filterwarnings("ignore", message="This DataLoader will create")
        return DataLoader(
            images,
            batch_sampler=order,
            num_workers=workers,
            collate_fn=_collate,
            pin_memory=pin_memory,
            persistent_workers=workers > 0,
            generator=torch.Generator().manual_seed(0),  # else it draws a seed from the network's random numbers
        )


def _collate(samples: list[tuple[Tensor, int] | BadImage]) -> tuple[Tensor, Tensor] | BadImage:
    tensors, labels = [], []
    for sample in samples:
        if isinstance(sample, BadImage):
            return sample
        tensors.append(sample[0])
        labels.append(sample[1])
    return torch.stack(tensors), torch.tensor(labels)
