"""Images that are in two splits of a data set: a network that has seen them in training is not tested by them."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Hashable, Iterable, Iterator

from mitorch_service.training.image_list import ImageList, ImageLocation

_MOST_FILES = 20_000  # of which the size is asked for; beyond, only paths are compared
_MOST_BYTES = 200 << 20  # that are read to tell files of one size apart


def count_shared(train: ImageList, other: ImageList) -> tuple[int, int]:
    """How many images of `other` are in `train`: by their path, and (others) by what is in them.

    Contents are compared where that is cheap: entries of zip files by size and checksum, which the archive's directory
    has; plain files of small data sets by size and then hash. Raises OSError or BadZipFile for what `check_files`
    finds.
    """
    paths = {str(train.location(index)) for index in range(len(train))}
    rest = [location for location in _locations(other) if str(location) not in paths]
    if len(train) + len(rest) > _MOST_FILES:
        return len(other) - len(rest), 0
    return len(other) - len(rest), _count_copies(list(_locations(train)), rest)


def _locations(image_list: ImageList) -> Iterator[ImageLocation]:
    return (image_list.location(index) for index in range(len(image_list)))


def _count_copies(train: list[ImageLocation], rest: list[ImageLocation]) -> int:
    zipped = set(_checksums(train))
    copies = sum(checksum in zipped for checksum in _checksums(rest))
    sizes = {location: location.path.stat().st_size for location in (*train, *rest) if location.entry is None}
    train_sizes = {sizes[location] for location in train if location.entry is None}
    candidates = [location for location in rest if sizes.get(location) in train_sizes]
    wanted = {sizes[location] for location in candidates}
    originals = [location for location in train if sizes.get(location) in wanted]
    if sum(sizes[location] for location in (*originals, *candidates)) > _MOST_BYTES:
        return copies
    known = set(map(_hash, originals))
    return copies + sum(_hash(location) in known for location in candidates)


def _checksums(locations: Iterable[ImageLocation]) -> Iterator[Hashable]:
    """Size and CRC-32 of each that lies in a zip file."""
    archives: dict[object, dict[str, tuple[int, int]]] = {}
    for location in locations:
        if location.entry is None:
            continue
        if location.path not in archives:
            with zipfile.ZipFile(location.path) as archive:
                archives[location.path] = {info.filename: (info.file_size, info.CRC) for info in archive.infolist()}
        yield archives[location.path].get(location.entry, location)


def _hash(location: ImageLocation) -> bytes:
    return hashlib.blake2b(location.path.read_bytes(), digest_size=16).digest()
