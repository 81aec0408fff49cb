"""Feeds batches of a data set to the network: on the device, normalized and mixed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Self

import torch
from torch import Tensor

from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.training.augmentation.mixing import Mixing, build_mixing
from mitorch_service.training.augmentation.pipeline import Augmentation, build_augmentation, steps_for
from mitorch_service.training.data.batches.batch import Batch
from mitorch_service.training.data.batches.epoch_batches import EpochBatches
from mitorch_service.training.data.batches.loaders import Batches, default_workers
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.data.images.image_cache import ImageCache
from mitorch_service.training.data.images.image_files import Limits
from mitorch_service.training.data.images.loading import Images
from mitorch_service.training.networks.network import Network, has_batch_norm
from mitorch_service.training.tasks.base import Task


class Feed:
    """Yields each epoch's batches: float32 images on the device, normalized by the network's mean and std.

    Images travel as bytes and become floats on the device. With CUDA, the next batch is copied and prepared on a stream
    of its own while the network works on the current one.
    """

    def __init__(self, batches: Batches, network: Network, device: torch.device, mixing: Mixing) -> None:
        self._batches = batches
        self._device = device
        self._mixing = mixing
        self._mean = torch.tensor(network.mean, device=device).view(3, 1, 1)
        self._std = torch.tensor(network.std, device=device).view(3, 1, 1)

    def __len__(self) -> int:
        """The number of batches of a whole epoch."""
        return len(self._batches)

    @property
    def images(self) -> int:
        """The number of images in the data set."""
        return self._batches.images

    def skipped(self) -> list[str]:
        """The problem of each image that was skipped so far (``data.on_error: skip``)."""
        return list(self._batches.bad)

    def delivered(self, number: int) -> list[int]:
        """The numbers of the images of a validation's last epoch, in the order in which it yielded them."""
        return self._batches.delivered(number)

    def steps(self, first: int, count: int) -> Iterator[Batch]:
        """The batches of `count` steps from the step `first` of the whole training on, from one pass over the images to
        the next. Raises DataError (`Batches`)."""
        whole, end = len(self), first + count
        while first < end:
            number, at = divmod(first, whole)
            stop = min(whole, at + end - first)
            yield from self.epoch(number, at, stop)
            first += stop - at

    def epoch(self, number: int, first: int = 0, stop: int | None = None) -> Iterator[Batch]:
        """The batches of one pass over the images (0 is the first), from the batch `first` on, before `stop`. Raises
        DataError (`Batches`)."""
        prepared = (partial(self._prepare, batch, number, at) for at, batch in self._numbered(number, first, stop))
        return _ahead(prepared, self._device) if self._device.type == "cuda" else (step() for step in prepared)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._batches.__exit__(kind, error, trace)

    def _numbered(self, number: int, first: int, stop: int | None) -> Iterator[tuple[int, Batch]]:
        return enumerate(self._batches.epoch(number, first, stop), first)

    def _prepare(self, batch: Batch, epoch: int, number: int) -> Batch:
        batch = batch.to(self._device, non_blocking=True)
        if isinstance(batch.images, Tensor):
            batch.images = self._normalize(batch.images)
        else:
            batch.images = [self._normalize(image) for image in batch.images]
        return self._mixing(batch, epoch, number)

    def _normalize(self, images: Tensor) -> Tensor:
        """Gives the same bits as torchvision's ToDtype(scale=True) and Normalize."""
        return images.to(torch.float32).mul_(1.0 / 255.0).sub_(self._mean).div_(self._std)


def open_feed(
    config: TrainingConfig,
    image_list: ImageList,
    task: Task,
    network: Network,
    device: torch.device,
    *,
    training: bool,
    at_most: int | None = None,
    rank: int = 0,
    world_size: int = 1,
) -> Feed:
    """Opens the feed of a training, shuffled and augmented anew each epoch, or of a validation.

    A training with batch normalization skips a last batch that leaves a process with one image, which has no variance.
    `at_most` limits the batches of an epoch for a trial run, and loads nothing ahead. The processes of a distributed
    run share the batches (`EpochBatches`).
    """
    steps = steps_for(config.augmentation, image_list.kind, "train" if training else "val")
    size = config.model.input_size
    augmentation = build_augmentation(steps, size, network.mean, image_list.kind, training=training)
    order = EpochBatches(
        len(image_list),
        config.batch_size,
        shuffle_seed=config.seed if training else None,
        drop_single=training and has_batch_norm(network.module),
        at_most=at_most,
        rank=rank,
        world_size=world_size,
    )
    cache_bytes = _cache_bytes(config, training, world_size) if at_most is None else 0
    batches = Batches(
        _images(config, image_list, augmentation, cache_bytes),
        order,
        partial(task.collate, classes=len(image_list.classes)),
        workers=0 if at_most is not None else _workers(config, len(image_list)),
        pin_memory=device.type == "cuda",
        on_error=config.data.on_error,
        refill=training,
        stall_timeout=config.data.stall_timeout,
    )
    mixing = build_mixing(steps if training else [], image_list.kind, len(image_list.classes), config.seed)
    return Feed(batches, network, device, mixing)


def _images(config: TrainingConfig, image_list: ImageList, augmentation: Augmentation, cache_bytes: int) -> Images:
    return Images(
        image_list,
        augmentation,
        config.seed,
        shorter_side=augmentation.shorter_side if config.data.reduced_decoding else None,
        cache=ImageCache(len(image_list), cache_bytes) if cache_bytes else None,
        limits=image_limits(config),
    )


def image_limits(config: TrainingConfig) -> Limits:
    """The limits that the section ``data`` sets."""
    return Limits(config.data.max_pixels, int(config.data.max_unpacked_size * 2**30))


def _cache_bytes(config: TrainingConfig, training: bool, world_size: int) -> int:
    """This process's share of ``data.cache_memory``: three quarters for the training images."""
    return int(config.data.cache_memory * 2**30 * (0.75 if training else 0.25) / world_size)


def _workers(config: TrainingConfig, images: int) -> int:
    if config.num_workers is not None:
        return config.num_workers
    return default_workers(images, config.model.input_size)


def _ahead(steps: Iterator[Callable[[], Batch]], device: torch.device) -> Iterator[Batch]:
    """Runs each step on a stream of its own, one batch ahead of the consumer."""
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    waiting: tuple[Batch, torch.cuda.Event] | None = None
    for step in steps:
        with torch.cuda.stream(stream):
            current = step(), stream.record_event()
        if waiting is not None:
            yield _arrived(*waiting, device)
        waiting = current
    if waiting is not None:
        yield _arrived(*waiting, device)


def _arrived(batch: Batch, ready: torch.cuda.Event, device: torch.device) -> Batch:
    """Makes the network's stream wait for the batch, and keeps its memory from being reused before that is done."""
    stream = torch.cuda.current_stream(device)
    stream.wait_event(ready)
    for tensor in _tensors(batch):
        tensor.record_stream(stream)
    return batch


def _tensors(batch: Batch) -> Iterator[Tensor]:
    yield from [batch.images] if isinstance(batch.images, Tensor) else batch.images
    if isinstance(batch.targets, Tensor):
        yield batch.targets
    else:
        yield from (value for target in batch.targets for value in target.values())
