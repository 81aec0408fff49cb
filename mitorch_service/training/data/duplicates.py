"""Finds images that are in two splits of a data set: metrics measured on images seen in training say little."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from mitorch_service.training.data.image_list import ImageList, ImageLocation
from mitorch_service.training.data.regular_files import open_binary
from mitorch_service.training.data.zip_index import ZipFiles

_MOST_FILES = 20_000  # whose sizes are looked up; beyond, only paths are compared
_MOST_BYTES = 200 << 20  # that are read to compare files of the same size


@dataclass(frozen=True)
class Duplicates:
    """Indices of images that another split has as well."""

    by_path: Sequence[int]
    by_content: Sequence[int]  # further ones
    contents_compared: bool = True  # False: not all, as that would have taken long


def find_duplicates(train: ImageList, other: ImageList) -> Duplicates:
    """The images of `other` that are in `train` by path, and further ones by content.

    Contents are compared where that is cheap: zip entries by size and CRC-32, which the archive's directory has; plain
    files of small data sets by size, then hash. Raises OSError, BadZipFile or KeyError for files that `check_files`
    would have refused.
    """
    wanted = set(map(hash, paths(other)))  # hashes, of the smaller split: a million paths take 150 MB
    shared = wanted.intersection(map(hash, paths(train)))
    by_path: list[int] = []
    rest: list[int] = []
    for index, path in enumerate(paths(other)):
        (by_path if hash(path) in shared else rest).append(index)
    if len(train) + len(rest) > _MOST_FILES:
        return Duplicates(by_path, [], contents_compared=False)
    originals = [train.location(index) for index in range(len(train))]
    locations = {index: other.location(index) for index in rest}
    return _with_copies(by_path, originals, train.archives, locations, other.archives)


def paths(image_list: ImageList) -> Iterator[str]:
    """Normalized paths, as the same image may be written in several ways."""
    folder = os.path.normpath(image_list.folder)
    for name in image_list.images:
        plain = not name.startswith("/") and "./" not in name and "//" not in name
        yield f"{folder}/{name}" if plain else os.path.normpath(os.path.join(folder, name))  # noqa: PTH118 - speed


def _with_copies(
    by_path: Sequence[int],
    train: list[ImageLocation],
    archives: ZipFiles,
    rest: dict[int, ImageLocation],
    rest_archives: ZipFiles,
) -> Duplicates:
    zipped = set(filter(None, map(_checksum(archives), train)))
    checksum = _checksum(rest_archives)
    copies = {index for index, location in rest.items() if checksum(location) in zipped}
    sizes = dict(_file_sizes((*train, *rest.values())))
    train_sizes = {sizes[location] for location in train if location in sizes}
    candidates = {index: location for index, location in rest.items() if sizes.get(location) in train_sizes}
    wanted = {sizes[location] for location in candidates.values()}
    originals = [location for location in train if sizes.get(location) in wanted]
    if sum(sizes[location] for location in (*originals, *candidates.values())) > _MOST_BYTES:
        return Duplicates(by_path, sorted(copies), contents_compared=False)
    known = set(map(_hash, originals))
    copies |= {index for index, location in candidates.items() if _hash(location) in known}
    return Duplicates(by_path, sorted(copies))


def _checksum(archives: ZipFiles) -> Callable[[ImageLocation], tuple[int, int] | None]:
    """Gives the size in bytes and the CRC-32 of one in a zip archive, None for a plain file."""

    def checksum(location: ImageLocation) -> tuple[int, int] | None:
        return None if location.entry is None else archives.at(location.path).checksum(location.entry)

    return checksum


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
