"""Images from files and zip archives to tensors, in this process or in loading processes."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from mitorch_service.errors import DataError
from mitorch_service.training.image_list import ImageList, ImageLocation
from mitorch_service.training.seeding import derived_seed


@dataclass(frozen=True)
class ImageKey:
    """Which image, in which epoch (0 is the first): all that its random augmentation depends on."""

    epoch: int
    index: int


@dataclass(frozen=True)
class BadImage:
    """Stands for an image that cannot be loaded. The main process raises: PyTorch would wrap a loading
    process's exception in the text of its traceback."""

    message: str


class ZipFiles:
    """Open zip archives of one process. Another one (forked, or given a pickle) opens its own: a file
    handle's position is shared across a fork."""

    def __init__(self) -> None:
        self._open: dict[Path, zipfile.ZipFile] = {}
        self._process = os.getpid()

    def read(self, path: Path, entry: str) -> bytes:
        """The bytes of one entry. Raises OSError, BadZipFile or KeyError."""
        if self._process != os.getpid():
            self._open, self._process = {}, os.getpid()
        if path not in self._open:
            self._open[path] = zipfile.ZipFile(path)
        return self._open[path].read(entry)

    def close(self) -> None:
        """Closes all. The next read opens again."""
        while self._open:
            self._open.popitem()[1].close()

    def __getstate__(self) -> dict[str, object]:
        return {"_open": {}, "_process": 0}


class Images(Dataset[tuple[Tensor, int] | BadImage]):
    """Decodes and augments. The same key gives the same pixels in any process and any order."""

    def __init__(self, image_list: ImageList, transform: Callable[[Image.Image], Tensor], seed: int) -> None:
        self.image_list = image_list
        self._transform = transform
        self._seed = seed
        self._zips = ZipFiles()

    def __len__(self) -> int:
        return len(self.image_list)

    def __getitem__(self, key: ImageKey) -> tuple[Tensor, int] | BadImage:
        """The tensor (3, input_size, input_size), float32, and its class."""
        try:
            image = read_image(self.image_list.location(key.index), self._zips)
        except DataError as error:
            return BadImage(f"{self.image_list.name}: {error}")
        with torch.random.fork_rng(devices=[]):  # the network's own random numbers stay what they were
            torch.default_generator.manual_seed(derived_seed(self._seed, key.epoch, key.index))
            return self._transform(image), self.image_list.labels[key.index]

    def close(self) -> None:
        """Closes the archives that this process has open."""
        self._zips.close()


def read_image(location: ImageLocation, zips: ZipFiles) -> Image.Image:
    """The picture as RGB. Raises DataError, naming the file, if it is missing, cut short or no image."""
    try:
        if location.entry is None:
            with Image.open(location.path) as image:
                return _as_rgb(image)
        with Image.open(BytesIO(zips.read(location.path, location.entry))) as image:
            return _as_rgb(image)
    except KeyError:
        raise DataError(f"the zip file {location.path} has no entry {location.entry!r}.") from None
    except FileNotFoundError:
        raise DataError(f"the image {location} is missing.") from None
    # Pillow's decoders raise all of these for damaged files
    except (
        OSError,
        ValueError,
        SyntaxError,
        EOFError,
        zipfile.BadZipFile,
        Image.DecompressionBombError,
    ) as error:
        raise DataError(f"the image {location} cannot be decoded ({error}). Replace it, or remove its line.") from error


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # Pillow warns of anything more direct
    return image.convert("RGB")
