"""The order of the images of an epoch, dealt into batches."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import torch
from torch.utils.data import Sampler

from mitorch_service.training.data.images.loading import ImageKey
from mitorch_service.training.seeding import derived_seed


class EpochBatches(Sampler[list[ImageKey]]):
    """Deals the images of one epoch into batches, reshuffled each epoch if there is a seed.

    `drop_single` leaves out a last batch of one image; `at_most` limits the batches. In a distributed run, the process
    with this `rank` below `world_size` gets its share of each batch; if shuffled, a last batch that leaves a process
    without an image (with `drop_single`: with fewer than two) is left out for all.
    """

    def __init__(
        self,
        images: int,
        batch_size: int,
        *,
        shuffle_seed: int | None = None,
        drop_single: bool = False,
        at_most: int | None = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self._images = images
        self._batch_size = batch_size
        self._shuffle_seed = shuffle_seed
        self._least = world_size if shuffle_seed is not None else 1
        if drop_single and batch_size > 1 and images > 1:
            self._least = 2 * world_size
        self._at_most = at_most
        self._rank = rank
        self._world_size = world_size
        self.epoch = 0
        self.first = 0  # the first batch to yield: those before it were trained on before
        self.stop: int | None = None  # the batch before which it ends; None: with the last one

    def __len__(self) -> int:
        """The number of batches in a whole epoch."""
        full, rest = divmod(self._images, self._batch_size)
        batches = full + (rest >= self._least)
        return batches if self._at_most is None else min(batches, self._at_most)

    def __iter__(self) -> Iterator[list[ImageKey]]:
        order = iter(self._order())
        for number in range(len(self) if self.stop is None else min(self.stop, len(self))):
            batch = list(islice(order, self._batch_size))
            share = batch[self._rank :: self._world_size]
            if number >= self.first and share:
                yield [ImageKey(self.epoch, index) for index in share]

    def _order(self) -> list[int]:
        if self._shuffle_seed is None:
            return list(range(self._images))
        generator = torch.Generator().manual_seed(derived_seed(self._shuffle_seed, self.epoch))
        return torch.randperm(self._images, generator=generator).tolist()
