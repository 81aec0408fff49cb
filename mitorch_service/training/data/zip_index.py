"""Zip archives: each one's directory in a few flat arrays, and its entries by name."""

from __future__ import annotations

import lzma
import os
import struct
import zipfile
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from mitorch_service.training.data.regular_files import open_binary, open_descriptor
from mitorch_service.training.data.zip_directory import entry_name, key_of, read_entries

# The header of an entry: PKWARE, APPNOTE.TXT 6.3.10, section 4.3.7.
_HEADER = struct.Struct("<4s2xHH16xHH")  # flags, method; lengths of name and extra
_ENCRYPTED = 0x1  # a flag
_RARE_BLOCK = 4096  # bytes to read at a time: `zipfile` unpacks bzip2 and LZMA without a limit


class _Entry(NamedTuple):
    offset: int  # of its header
    compressed: int  # bytes
    size: int
    crc: int
    method: int


class ZipFiles:
    """The archives of a data set. Each is opened, and its directory read, at first use. Methods raise OSError or
    BadZipFile for a file that is not an archive."""

    def __init__(self) -> None:
        self._open: dict[str, ZipIndex] = {}

    def at(self, path: Path | str) -> ZipIndex:
        """The archive, which stays open."""
        name = str(path)
        if name not in self._open:
            self._open[name] = ZipIndex(Path(name))
        return self._open[name]

    def read(self, path: Path | str, entry: str) -> bytes:
        """The bytes of one entry. Also raises KeyError."""
        return self.at(path).read(entry)

    def close(self) -> None:
        """Closes all archives; the next read reopens."""
        self._open.clear()


class ZipIndex:
    """Takes about 50 bytes for each entry, where `zipfile` takes 600, and shares them with forks, as no references are
    counted.

    Any number of processes may read at the same time: none moves the file's position.
    """

    def __init__(self, path: Path) -> None:
        """Reads the directory. Raises OSError or BadZipFile."""
        self._path = path
        columns = tuple(array(kind) for kind in "qQQQLH")  # hashes of the names, then the fields of _Entry
        with open_binary(path) as file:
            read_entries(file, columns)
        self._numbers = columns[1:]
        self._hashes, self._order = _sorted(columns[0])
        self._file = open_descriptor(path)

    def has(self, names: Sequence[str]) -> list[bool]:
        """For each name, whether there is such an entry."""
        import numpy as np  # a machine that only submits has none

        if not self._hashes:
            return [False] * len(names)
        known = np.frombuffer(self._hashes, np.int64)
        wanted = np.fromiter(map(key_of, names), np.int64, len(names))
        places = known.searchsorted(wanted).clip(max=len(known) - 1)
        return (known[places] == wanted).tolist()  # type: ignore[no-any-return]

    def checksum(self, name: str) -> tuple[int, int]:
        """Size in bytes and CRC-32 of an entry's content. Raises KeyError."""
        entry = self._entry(name)
        return entry.size, entry.crc

    def size(self, name: str) -> int:
        """The number of bytes of an entry's content, which `read` never exceeds. Raises KeyError."""
        return self._entry(name).size

    def read(self, name: str) -> bytes:
        """The content of an entry. Raises KeyError, OSError or BadZipFile."""
        entry = self._entry(name)
        if entry.offset + entry.compressed > os.fstat(self._file).st_size:
            raise zipfile.BadZipFile(f"File {name!r} reaches beyond the end of the archive.")
        header = os.pread(self._file, _HEADER.size, entry.offset)
        if len(header) < _HEADER.size or not header.startswith(b"PK\x03\x04"):
            raise zipfile.BadZipFile("Bad magic number for file header")
        _, flags, _, name_size, extra_size = _HEADER.unpack(header)
        content = os.pread(self._file, name_size + extra_size + entry.compressed, entry.offset + _HEADER.size)
        raw, extra = content[:name_size], content[name_size : name_size + extra_size]
        if raw.isascii() and key_of(entry_name(raw, flags, extra)) != key_of(name):  # others may be written in two ways
            raise zipfile.BadZipFile(f"File name in directory {name!r} and header {raw!r} differ.")
        if flags & _ENCRYPTED or entry.method not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            return self._read_rare(name)
        return _unpacked(content[name_size + extra_size :], entry, name)

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            os.close(self._file)

    def __reduce__(self) -> tuple[type[ZipIndex], tuple[Path]]:
        return ZipIndex, (self._path,)

    def _read_rare(self, name: str) -> bytes:
        """Leaves an encrypted or unusually compressed entry to the standard library, which reads or refuses it."""
        try:
            with (
                open_binary(self._path) as file,
                zipfile.ZipFile(file) as archive,
                archive.open(archive.infolist()[self._place(name)]) as entry,
            ):
                return b"".join(iter(partial(entry.read, _RARE_BLOCK), b""))
        except (RuntimeError, EOFError, lzma.LZMAError, zlib.error) as error:  # of zipfile; NotImplementedError is one
            raise zipfile.BadZipFile(str(error)) from error

    def _entry(self, name: str) -> _Entry:
        place = self._place(name)
        return _Entry(*(column[place] for column in self._numbers))

    def _place(self, name: str) -> int:
        """The entry's place in the directory. Raises KeyError."""
        wanted = key_of(name)
        place = bisect_right(self._hashes, wanted) - 1  # of two with one name the last counts, as in zipfile
        if place < 0 or self._hashes[place] != wanted:
            raise KeyError(name)
        return self._order[place]


def _sorted(hashes: array[int]) -> tuple[array[int], array[int]]:
    """The hashes in ascending order, and the position each had."""
    import numpy as np  # a machine that only submits has none

    values = np.frombuffer(hashes, np.int64) if hashes else np.empty(0, np.int64)
    order = values.argsort(kind="stable")
    return array("q", values[order].tobytes()), array("I", order.astype(np.uint32).tobytes())


def _unpacked(content: bytes, entry: _Entry, name: str) -> bytes:
    try:
        unpacked = content if entry.method == zipfile.ZIP_STORED else _inflated(content, entry.size)
    except zlib.error as error:
        raise zipfile.BadZipFile(f"Damaged content of file {name!r}: {error}") from error
    if zlib.crc32(unpacked) != entry.crc:
        raise zipfile.BadZipFile(f"Bad CRC-32 for file {name!r}")
    return unpacked


def _inflated(content: bytes, size: int) -> bytes:
    """The first bytes of the unpacked content, one more than `size`: an archive may state less than comes out."""
    inflating = zlib.decompressobj(-zlib.MAX_WBITS)
    return inflating.decompress(content, size + 1)
