"""Reads what tells copies of an image: the digest of its file, a perceptual hash, and small pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mitorch_service.errors import DataError
from mitorch_service.training.data.image_list import ImageList, ImageLocation
from mitorch_service.training.data.images.decoding import TooManyPixels, decode
from mitorch_service.training.data.images.image_files import DAMAGES, DEFAULT_LIMITS, image_file
from mitorch_service.training.data.leaks.alignment import SIDE
from mitorch_service.training.data.parallel_readers import Call, results
from mitorch_service.training.data.regular_files import open_binary
from mitorch_service.training.data.zip_index import ZipFiles

_HASHED = 32  # pixels, of the picture that is hashed
_LOW = 8  # frequencies in each direction
TINY = 8  # pixels, of the tiny picture
_DIGEST = 16  # bytes
_PER_CALL = 200  # images: a process starts for every 2,000


@dataclass(frozen=True)
class ImageTraits:
    """The traits of N images."""

    digests: list[bytes]  # of the files; empty for one that cannot be read
    hashes: NDArray[np.uint64]  # (N,)
    tiny: NDArray[np.uint8]  # (N, 8, 8, 3): RGB
    grey: NDArray[np.uint8]  # (N, 24, 24)
    readable: NDArray[np.bool_]  # (N,): whether it was decoded
    damaged: list[str]  # the problems of those that were not


class _Part(NamedTuple):
    digests: list[bytes]
    hashes: bytes
    tiny: bytes
    grey: bytes
    readable: list[bool]
    damaged: list[str]


def read_traits(images: ImageList) -> ImageTraits:
    """Reads each image once, in several processes if there are many."""
    parts = list(results(_calls(images)))
    hashes = np.frombuffer(b"".join(part.hashes for part in parts), np.uint64)
    tiny = np.frombuffer(b"".join(part.tiny for part in parts), np.uint8).reshape(-1, TINY, TINY, 3)
    grey = np.frombuffer(b"".join(part.grey for part in parts), np.uint8).reshape(-1, SIDE, SIDE)
    digests = [one for part in parts for one in part.digests]
    readable = np.array([one for part in parts for one in part.readable], np.bool_)
    return ImageTraits(digests, hashes, tiny, grey, readable, [one for part in parts for one in part.damaged])


def perceptual_hash(image: Image.Image) -> int:
    """64 bits, of which visually equal images differ in few: which of the 8 x 8 lowest frequencies of a discrete cosine
    transform of the grey picture are above their median (Zauner 2010, "Implementation and Benchmarking of Perceptual
    Image Hash Functions", as pHash and ImageHash do)."""
    grey = np.asarray(image.convert("L").resize((_HASHED, _HASHED), Image.Resampling.BOX), np.float64)
    transform = _cosines()
    low = transform @ grey @ transform.T
    low[0, 0] = np.median(low)  # the mean brightness says nothing
    bits = (low > np.median(low)).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def tiny_picture(image: Image.Image) -> NDArray[np.uint8]:
    """The picture in 8 x 8 pixels, uint8 (8, 8, 3)."""
    return np.asarray(image.resize((TINY, TINY), Image.Resampling.BOX), np.uint8)


def grey_picture(image: Image.Image) -> NDArray[np.uint8]:
    """The picture in 24 x 24 pixels without its colours, uint8 (24, 24)."""
    return np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX), np.uint8)


@cache
def _cosines() -> NDArray[np.float64]:
    """The lowest rows of the orthogonal DCT-II."""
    places = (np.arange(_HASHED) + 0.5) * np.pi / _HASHED
    return np.cos(np.arange(_LOW)[:, None] * places)


def _calls(images: ImageList) -> Iterator[Call[_Part]]:
    for start in range(0, len(images), _PER_CALL):
        part = range(start, min(start + _PER_CALL, len(images)))
        yield Call(_read, ([images.location(index) for index in part],))


def _read(locations: Sequence[ImageLocation]) -> _Part:
    digests: list[bytes] = []
    hashes = np.zeros(len(locations), np.uint64)
    tiny = np.zeros((len(locations), TINY, TINY, 3), np.uint8)
    grey = np.zeros((len(locations), SIDE, SIDE), np.uint8)
    readable: list[bool] = []
    damaged: list[str] = []
    for place, location in enumerate(locations):
        digest, decoded = b"", False
        try:
            file = image_file(location, _archives())
            digest = _digest(file)
            picture = decode(file, _HASHED, DEFAULT_LIMITS.pixels).image
            hashes[place], tiny[place] = perceptual_hash(picture), tiny_picture(picture)
            grey[place] = grey_picture(picture)
            decoded = True
        except (DataError, TooManyPixels, *DAMAGES) as error:
            damaged.append(f"{location}: {error}")
        digests.append(digest)
        readable.append(decoded)
    return _Part(digests, hashes.tobytes(), tiny.tobytes(), grey.tobytes(), readable, damaged)


def _digest(file: Path | BytesIO) -> bytes:
    if isinstance(file, BytesIO):
        return hashlib.blake2b(file.getbuffer(), digest_size=_DIGEST).digest()
    with open_binary(file) as opened:
        return hashlib.file_digest(opened, lambda: hashlib.blake2b(digest_size=_DIGEST)).digest()


@cache
def _archives() -> ZipFiles:
    """This process's: the directory of each archive is read once."""
    return ZipFiles()
