"""Decoded images kept in memory that all loading processes share."""

from __future__ import annotations

import mmap
import multiprocessing
import struct

from PIL import Image

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.training.data.decoding import Picture

_ENTRY = struct.Struct("<QIIIIB")  # place of the pixels, width, height, the same in the file, orientation; 0: absent


class ImageCache:
    """Images by their number, up to a number of bytes; what comes after that is not kept.

    Nothing is ever thrown out: each epoch asks for each image once, so that whatever is kept is worth the same.
    Processes forked from the one that made the cache share it; one given a pickle caches nothing.
    """

    def __init__(self, images: int, limit: int) -> None:
        """Room for `limit` bytes; memory is taken as it fills. Raises InvalidInput for more than the machine has."""
        self._limit = limit
        self._index = mmap.mmap(-1, max(1, images * _ENTRY.size))
        self._pixels = _memory(max(1, limit))
        self._used = multiprocessing.get_context("fork").Value("Q", 0)

    def get(self, index: int) -> Picture | None:
        """The picture as it was put, or None."""
        if self._limit == 0:
            return None
        with self._used.get_lock():  # who has the lock sees whole entries only
            place, width, height, *stored, orientation = _ENTRY.unpack_from(self._index, index * _ENTRY.size)
        if orientation == 0:
            return None
        pixels = self._pixels[place : place + 3 * width * height]
        return Picture(Image.frombytes("RGB", (width, height), pixels), (stored[0], stored[1]), orientation)

    def put(self, index: int, picture: Picture) -> None:
        """Keeps the picture if there is room."""
        if self._limit == 0:
            return
        width, height = picture.image.size
        size = 3 * width * height
        with self._used.get_lock():
            place = self._used.value
            if place + size > self._limit:
                return
            self._used.value = place + size
        self._pixels[place : place + size] = picture.image.tobytes()
        with self._used.get_lock():
            values = (place, width, height, *picture.stored_size, picture.orientation)
            _ENTRY.pack_into(self._index, index * _ENTRY.size, *values)

    @property
    def used(self) -> int:
        """Bytes of pixels that are kept."""
        return int(self._used.value)

    def __getstate__(self) -> dict[str, object]:
        return {"_limit": 0}


def _memory(size: int) -> mmap.mmap:
    try:
        return mmap.mmap(-1, size)
    except OSError as error:
        problem = f"this machine cannot give {size / 2**30:.4g} GiB for images ({error.strerror}): set less, or 0"
        raise InvalidInput("config", [Problem("data.cache_memory", problem)]) from error
