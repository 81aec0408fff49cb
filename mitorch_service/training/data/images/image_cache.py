"""A cache of decoded images in memory that all loading processes share."""

from __future__ import annotations

import mmap
import multiprocessing
import struct

from PIL import Image

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.training.data.images.decoding import Picture

_ENTRY = struct.Struct("<QIIIIB")  # offset of the pixels, width, height, both as stored, orientation (0: absent)


class ImageCache:
    """Keeps images by number until a limit of bytes is reached.

    Nothing is evicted: each epoch needs each image once, so all are worth the same. Processes forked from the one that
    made the cache share it; a pickled copy caches nothing.
    """

    def __init__(self, images: int, limit: int) -> None:
        """`limit`: bytes, allocated as the cache fills. Raises InvalidInput if the machine does not have them."""
        self._limit = limit
        self._index = mmap.mmap(-1, max(1, images * _ENTRY.size))
        self._pixels = _memory(max(1, limit))
        self._used = multiprocessing.get_context("fork").Value("Q", 0)

    def get(self, index: int) -> Picture | None:
        """The picture, or None if it is not kept."""
        if self._limit == 0:
            return None
        with self._used.get_lock():  # never sees half an entry
            entry = _ENTRY.unpack_from(self._index, index * _ENTRY.size)
        offset, width, height, stored_width, stored_height, orientation = entry
        if orientation == 0:
            return None
        pixels = self._pixels[offset : offset + 3 * width * height]
        return Picture(Image.frombytes("RGB", (width, height), pixels), (stored_width, stored_height), orientation)

    def put(self, index: int, picture: Picture) -> None:
        """Keeps the picture if there is room."""
        if self._limit == 0:
            return
        width, height = picture.image.size
        size = 3 * width * height
        with self._used.get_lock():
            offset = self._used.value
            if offset + size > self._limit:
                return
            self._used.value = offset + size
        self._pixels[offset : offset + size] = picture.image.tobytes()
        with self._used.get_lock():
            values = (offset, width, height, *picture.stored_size, picture.orientation)
            _ENTRY.pack_into(self._index, index * _ENTRY.size, *values)

    @property
    def used(self) -> int:
        """The number of bytes of pixels kept."""
        return int(self._used.value)

    def __getstate__(self) -> dict[str, object]:
        return {"_limit": 0}


def _memory(size: int) -> mmap.mmap:
    try:
        return mmap.mmap(-1, size)
    except OSError as error:
        problem = f"this machine cannot give {size / 2**30:.4g} GiB for images ({error.strerror}): set less, or 0"
        raise InvalidInput("config", [Problem("data.cache_memory", problem)]) from error
