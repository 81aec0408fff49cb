"""Images to be predicted: files, or images in memory, prepared as a validation prepares its own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from mitorch_service.errors import DataError
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.training.augmentation.mixing import build_mixing
from mitorch_service.training.augmentation.pipeline import Augmentation, build_augmentation, steps_for
from mitorch_service.training.data.batches.batch import Batch, Sample, stack_images
from mitorch_service.training.data.batches.epoch_batches import EpochBatches
from mitorch_service.training.data.batches.loaders import Batches, default_workers
from mitorch_service.training.data.image_list import ImageList, PackedStrings
from mitorch_service.training.data.images.decoding import Picture, upright
from mitorch_service.training.data.images.image_files import DAMAGES, Limits
from mitorch_service.training.data.images.loading import Images
from mitorch_service.training.data.targets import Boxes, ClassTargets, Kind
from mitorch_service.training.loop.feed import Feed, image_limits
from mitorch_service.training.networks.network import Network

_OF_A_DATA_SET = " Replace it, or remove its line."  # a remedy where a data set's file lists the image


class UnlabelledImages(Images):
    """In place of a target, each image has its upright size."""

    def __init__(
        self,
        paths: PackedStrings,
        opened: Mapping[int, Image.Image],
        kind: Kind,
        augmentation: Augmentation,
        seed: int,
        shorter_side: int | None,
        limits: Limits,
    ) -> None:
        """`opened`: the images in memory, by number; their paths are not used. `kind`: of the data that the network was
        trained on, as steps may treat images with boxes otherwise."""
        images = ImageList("images", Path(), paths, ClassTargets(), ())
        super().__init__(images, augmentation, seed, shorter_side=shorter_side, limits=limits)
        self._opened = opened
        self._kind = kind

    def _picture(self, index: int) -> Picture:
        if index not in self._opened:
            return super()._picture(index)
        try:
            return upright(self._opened[index])
        except DAMAGES as error:
            raise DataError(f"the image with index {index} cannot be decoded ({error}).") from error

    def _problem(self, error: DataError) -> str:
        return str(error).removesuffix(_OF_A_DATA_SET)

    def _sample(self, picture: Picture, index: int) -> Sample:
        return self._transform(picture.image, self._no_boxes)[0], picture.upright_size

    @cached_property
    def _no_boxes(self) -> Boxes | None:
        if self._kind != "detection":
            return None
        return Boxes(np.empty(0, np.int64), np.empty((0, 4), np.float32))


def collate_sizes(samples: list[Sample]) -> Batch:
    """Builds a batch whose targets are the sizes of the upright images."""
    return Batch(stack_images(samples), torch.tensor([size for _, size in samples]))


def validation_augmentation(config: TrainingConfig, network: Network, kind: Kind) -> Augmentation:
    """Builds the transforms of a validation."""
    steps = steps_for(config.augmentation, kind, "val")
    return build_augmentation(steps, config.model.input_size, network.mean, kind, training=False)


def open_prediction_feed(
    config: TrainingConfig,
    network: Network,
    kind: Kind,
    paths: PackedStrings,
    opened: Mapping[int, Image.Image],
    batch_size: int,
    device: torch.device,
) -> tuple[Feed, Batches]:
    """Opens a feed that prepares images as the validation of the config does, and its batches, which know the images
    that cannot be read."""
    augmentation = validation_augmentation(config, network, kind)
    shorter_side = augmentation.shorter_side if config.data.reduced_decoding else None
    images = UnlabelledImages(paths, opened, kind, augmentation, config.seed, shorter_side, image_limits(config))
    workers = config.num_workers
    batches = Batches(
        images,
        EpochBatches(len(paths), batch_size),
        collate_sizes,
        workers=default_workers(len(paths), config.model.input_size) if workers is None else workers,
        pin_memory=device.type == "cuda",
        on_error="report",
        stall_timeout=config.data.stall_timeout,
    )
    return Feed(batches, network, device, build_mixing([], kind, 0, config.seed)), batches
