"""Batches of images, in an order that depends on the seed alone. What the engine asks for is `feed.open_feed`."""

from __future__ import annotations

import gc
import logging
import warnings
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Literal, NamedTuple, Self

import torch
from torch.utils.data import DataLoader, Sampler

from mitorch_service.errors import DataError
from mitorch_service.training.data.batch import Batch, Sample
from mitorch_service.training.data.cpu_count import usable_cores
from mitorch_service.training.data.images import BadImage, ImageKey, Images
from mitorch_service.training.seeding import derived_seed

# Measured on one core of 2023: decoding and augmenting a small image, and each further pixel of the input.
_SECONDS_PER_IMAGE = 3e-4
_SECONDS_PER_PIXEL = 1e-7
_WORTH_WORKERS = 5.0  # seconds of loading an epoch: below, starting and feeding processes costs more than it gives
_PREFETCHED = 4  # batches that each process has ready: some take longer than others

log = logging.getLogger("mitorch")

OnError = Literal["fail", "skip"]


Collate = Callable[[list[Sample]], Batch]


class Loaded(NamedTuple):
    """One batch as a loading process gives it."""

    batch: Batch | None  # None if no image of it could be loaded
    bad: tuple[BadImage, ...] = ()


class EpochBatches(Sampler[list[ImageKey]]):
    """The images of one epoch in batches, shuffled anew for each epoch if there is a seed.

    `drop_single` leaves out a last batch of one image; `at_most` limits the batches. Of several processes, each with
    its `rank` below `world_size`, every one gets its share of each batch; where shuffled, a last batch that leaves one
    of them without an image (with `drop_single`: with fewer than two) is left out for all.
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
        self._images, self._batch_size = images, batch_size
        self._shuffle_seed = shuffle_seed
        self._least = world_size if shuffle_seed is not None else 1
        if drop_single and batch_size > 1 and images > 1:
            self._least = 2 * world_size
        self._at_most = at_most
        self._rank, self._world_size = rank, world_size
        self.epoch = 0
        self.first = 0  # number of the first batch to give: those before it were had before an interruption

    def __len__(self) -> int:
        """Batches of a whole epoch."""
        full, rest = divmod(self._images, self._batch_size)
        batches = full + (rest >= self._least)
        return batches if self._at_most is None else min(batches, self._at_most)

    def __iter__(self) -> Iterator[list[ImageKey]]:
        order = iter(self._order())
        for number in range(len(self)):
            batch = list(islice(order, self._batch_size))
            share = batch[self._rank :: self._world_size]
            if number >= self.first and share:
                yield [ImageKey(self.epoch, index) for index in share]

    def _order(self) -> list[int]:
        if self._shuffle_seed is None:
            return list(range(self._images))
        generator = torch.Generator().manual_seed(derived_seed(self._shuffle_seed, self.epoch))
        return torch.randperm(self._images, generator=generator).tolist()


class Batches:
    """Iterated once per epoch: what `collate` makes of the samples of each batch, in pinned memory for CUDA.

    An image that cannot be loaded raises DataError (``fail``), or is left out and counted (``skip``); in training,
    where `refill` holds, another image of the batch stands in for it.
    """

    def __init__(
        self,
        images: Images,
        order: EpochBatches,
        collate: Collate,
        *,
        workers: int,
        pin_memory: bool = False,
        on_error: OnError = "fail",
        refill: bool = False,
    ) -> None:
        self._images, self._order, self._on_error = images, order, on_error
        self._loader = _loader(images, order, _Collator(collate, refill), workers, pin_memory)
        self.bad: dict[str, None] = {}  # messages of the images that were left out, in the order in which they were met

    def __len__(self) -> int:
        return len(self._order)

    @property
    def images(self) -> int:
        """How many images the data set has."""
        return len(self._images)

    def epoch(self, number: int, first: int = 0) -> Iterator[Batch]:
        """The batches of one epoch (0 is the first), from the batch `first` on."""
        self._order.epoch, self._order.first = number, first
        known = len(self.bad)
        for loaded in self._loader:
            self._note(loaded)
            if loaded.batch is not None:
                yield loaded.batch
        if new := list(self.bad)[known:]:
            log.warning("%d images cannot be loaded and are left out (data.on_error); the first: %s", len(new), new[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Closes files and ends the loading processes. Raises DataError where one of them has died, which PyTorch tells
        by a RuntimeError anywhere in this process."""
        self._images.close()
        del self._loader
        if isinstance(error, RuntimeError) and str(error).startswith("DataLoader worker"):
            raise DataError(
                f"A process that loads images has died ({str(error).strip()}), most often because memory ran out. "
                "Lower num_workers, data.cache_memory or batch_size."
            ) from error

    def _note(self, loaded: Loaded) -> None:
        if loaded.bad and self._on_error == "fail":
            raise DataError(f"{loaded.bad[0].message} To train without such images, set data.on_error to 'skip'.")
        self.bad |= dict.fromkeys(bad.message for bad in loaded.bad)
        if loaded.batch is None:
            raise DataError(f"No image of a whole batch can be loaded: {loaded.bad[0].message}")


def default_workers(images: int, input_size: int) -> int:
    """Loading processes that pay: none for a small set, else one per core this process may use."""
    if images * (_SECONDS_PER_IMAGE + _SECONDS_PER_PIXEL * input_size**2) < _WORTH_WORKERS:
        return 0
    return min(usable_cores(), torch.get_num_threads())


def _loader(
    images: Images, order: EpochBatches, collate: _Collator, workers: int, pin_memory: bool
) -> DataLoader[Sample | BadImage]:
    with warnings.catch_warnings():  # more processes than cores is a choice of the user's config
        warnings.filterwarnings("ignore", message="This DataLoader will create")
        return DataLoader(
            images,
            batch_sampler=order,
            num_workers=workers,
            collate_fn=collate,
            pin_memory=pin_memory,
            persistent_workers=workers > 0,
            worker_init_fn=_leave_alone if workers else None,
            prefetch_factor=_PREFETCHED if workers else None,
            generator=torch.Generator().manual_seed(0),  # else it draws a seed from the network's random numbers
        )


def _leave_alone(worker: int) -> None:
    """Runs as each loading process begins: the collector of garbage would write into all objects that there are, 100 MB
    of modules, and so make copies of memory that is shared with the process that forked."""
    gc.freeze()


class _Collator:
    """Runs in the loading processes."""

    def __init__(self, collate: Collate, refill: bool) -> None:
        self._collate, self._refill = collate, refill

    def __call__(self, loaded: list[Sample | BadImage]) -> Loaded:
        good = [sample for sample in loaded if not isinstance(sample, BadImage)]
        bad = tuple(sample for sample in loaded if isinstance(sample, BadImage))
        if not good:
            return Loaded(None, bad)
        if self._refill:
            good += [good[index % len(good)] for index in range(len(bad))]
        return Loaded(self._collate(good), bad)
