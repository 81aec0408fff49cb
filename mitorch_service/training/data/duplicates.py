"""Finds images that are in two splits of a data set: metrics measured on images seen in training say little."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from functools import partial

from mitorch_service.training.data.image_list import ImageList, ImageLocation
from mitorch_service.training.data.regular_files import open_binary
from mitorch_service.training.data.zip_index import ZipFiles

_MOST_FILES = 20_000  # whose sizes are looked up; beyond, only paths are compared
_MOST_BYTES = 200 << 20  # that are read to compare files of the same size


def count_duplicates(train: ImageList, other: ImageList) -> tuple[int, int]:
    """The number of images of `other` that are in `train` by path, and of further ones by content.

    Contents are compared where that is cheap: zip entries by size and CRC-32, which the archive's directory has; plain
    files of small data sets by size, then hash. Raises OSError, BadZipFile or KeyError for files that `check_files`
    would have refused.
    """
    wanted = set(map(hash, _paths(other)))  # hashes, of the smaller split: a million paths take 150 MB
    shared = wanted.intersection(map(hash, _paths(train)))
    rest = [index for index, path in enumerate(_paths(other)) if hash(path) not in shared]
    if len(train) + len(rest) > _MOST_FILES:
        return len(other) - len(rest), 0
    originals = [train.location(index) for index in range(len(train))]
    copies = _count_copies(originals, train.archives, [other.location(index) for index in rest], other.archives)
    return len(other) - len(rest), copies


def _paths(image_list: ImageList) -> Iterator[str]:
    """Normalized paths, as the same image may be written in several ways."""
    folder = os.path.normpath(image_list.folder)
    for name in image_list.images:
        plain = not name.startswith("/") and "./" not in name and "//" not in name
        yield f"{folder}/{name}" if plain else os.path.normpath(os.path.join(folder, name))  # noqa: PTH118 - speed


def _count_copies(
    train: list[ImageLocation], archives: ZipFiles, rest: list[ImageLocation], rest_archives: ZipFiles
) -> int:
    zipped = set(_checksums(train, archives))
    copies = sum(checksum in zipped for checksum in _checksums(rest, rest_archives))
    sizes = dict(_file_sizes((*train, *rest)))
    train_sizes = {sizes[location] for location in train if location in sizes}
    candidates = [location for location in rest if sizes.get(location) in train_sizes]
    wanted = {sizes[location] for location in candidates}
    originals = [location for location in train if sizes.get(location) in wanted]
    if sum(sizes[location] for location in (*originals, *candidates)) > _MOST_BYTES:
        return copies
    known = set(map(_hash, originals))
    return copies + sum(_hash(location) in known for location in candidates)


def _checksums(locations: Iterable[ImageLocation], archives: ZipFiles) -> Iterator[tuple[int, int]]:
    """Size in bytes and CRC-32 of each one in a zip archive."""
    for location in locations:
        if location.entry is not None:
            yield archives.at(location.path).checksum(location.entry)


def _file_sizes(locations: Iterable[ImageLocation]) -> Iterator[tuple[ImageLocation, int]]:
    """Size in bytes of each plain file. What is no file, such as a pipe, is left to whoever loads it."""
    for location in locations:
        if location.entry is None:
            status = location.path.stat()
            if stat.S_ISREG(status.st_mode):
                yield location, status.st_size


def _hash(location: ImageLocation) -> bytes:
    with open_binary(location.path) as file:
        return hashlib.file_digest(file, partial(hashlib.blake2b, digest_size=16)).digest()
