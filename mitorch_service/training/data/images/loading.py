"""Loads images from files and zip archives as tensors, in this process or in loading processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from mitorch_service.errors import DataError
from mitorch_service.training.data.batches.batch import BadImage, BoxTarget, Sample
from mitorch_service.training.data.image_list import ImageList, ImageLocation
from mitorch_service.training.data.images.decoding import Picture, TooManyPixels, decode
from mitorch_service.training.data.images.image_cache import ImageCache
from mitorch_service.training.data.images.image_files import DAMAGES, DEFAULT_LIMITS, Limits, image_file
from mitorch_service.training.data.targets import Boxes
from mitorch_service.training.data.zip_index import ZipFiles
from mitorch_service.training.seeding import derived_seed

Transform = Callable[[Image.Image, Boxes | None], tuple[Tensor, Boxes | None]]


@dataclass(frozen=True)
class ImageKey:
    """An image in one epoch (0 is the first): with the seed, all that its random augmentation depends on."""

    epoch: int
    index: int


class Images(Dataset[Sample | BadImage]):
    """Decodes and augments images. The same key gives the same pixels in any process and any order."""

    def __init__(
        self,
        image_list: ImageList,
        transform: Transform,
        seed: int,
        *,
        shorter_side: int | None = None,
        cache: ImageCache | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """`shorter_side`: the size in pixels that decoding may shrink an image to (`decode`). `cache`: for decoded
        images."""
        self.image_list = image_list
        self._transform = transform
        self._seed = seed
        self._shorter_side = shorter_side
        self._cache = cache
        self._limits = limits

    def __len__(self) -> int:
        return len(self.image_list)

    def __getitem__(self, key: ImageKey) -> Sample | BadImage:
        """The transformed image, uint8 (3, H, W), and its target; boxes are in its pixels."""
        try:
            picture = self._picture(key.index)
        except DataError as error:
            return BadImage(self._problem(error), key.index)
        with torch.random.fork_rng(devices=[]):  # leaves the network's random numbers untouched
            torch.default_generator.manual_seed(derived_seed(self._seed, key.epoch, key.index))
            return self._sample(picture, key.index)

    def close(self) -> None:
        """Closes the archives that this process has open."""
        self.image_list.archives.close()

    def _problem(self, error: DataError) -> str:
        """The message about an image that cannot be read."""
        return f"{self.image_list.name}: {error}"

    def _sample(self, picture: Picture, index: int) -> Sample:
        """Transforms one image and its target."""
        target = self.image_list.target(index)
        if not isinstance(target, Boxes):
            return self._transform(picture.image, None)[0], target
        image, boxes = self._transform(picture.image, picture.map_boxes(target))
        return image, _as_tensors(boxes)

    def _picture(self, index: int) -> Picture:
        """The decoded image, from the cache if it is there."""
        cached = self._cache.get(index) if self._cache is not None else None
        if cached is not None:
            return cached
        picture = read_image(
            self.image_list.location(index), self.image_list.archives, self._shorter_side, self._limits
        )
        if self._cache is not None:
            self._cache.put(index, picture)
        return picture


def _as_tensors(boxes: Boxes | None) -> BoxTarget:
    assert boxes is not None  # a transform that is given boxes returns some
    return {"boxes": torch.from_numpy(boxes.boxes), "labels": torch.from_numpy(boxes.labels)}


def read_image(
    location: ImageLocation, archives: ZipFiles, shorter_side: int | None = None, limits: Limits = DEFAULT_LIMITS
) -> Picture:
    """Reads and decodes one image. Raises DataError with the file if it is missing, truncated, not an image, or beyond
    the limits."""
    file = image_file(location, archives, limits)
    try:
        return decode(file, shorter_side, limits.pixels)
    except FileNotFoundError:
        raise DataError(f"the image {location} is missing.") from None
    except TooManyPixels as error:
        raise DataError(
            f"the image {location} has {error}, more than data.max_pixels allows ({limits.pixels}). Raise that limit "
            "in the config if the image is meant to be so large; else replace it, or remove its line."
        ) from error
    except DAMAGES as error:
        raise DataError(f"the image {location} cannot be decoded ({error}). Replace it, or remove its line.") from error
