"""Zip archives: each one's directory in a few flat arrays, and its entries by name."""

from __future__ import annotations

import os
import struct
import unicodedata
import zipfile
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple

from mitorch_service.training.data.regular_files import open_binary, open_descriptor

# The records of a zip file: PKWARE, APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12, 4.3.14 to 4.3.16 and 4.5.3.
_HEADER = struct.Struct("<4s2xHH16xHH")  # flags, method; lengths of name and extra
_ENTRY = struct.Struct("<4s4xHH4xLLLHHH8xL")  # flags, method; CRC, compressed, size; lengths; offset of the header
_END = struct.Struct("<4s6xHLLH")  # entries; size and offset of the directory
_LOCATOR = struct.Struct("<4s4xQ4x")  # offset of the 64-bit end record
_END_64 = struct.Struct("<4s28xQQQ")  # entries; size and offset of the directory
_LONGEST_COMMENT = 0xFFFF
_RARE_BLOCK = 4096  # bytes to read at a time: `zipfile` unpacks bzip2 and LZMA without a limit
_IN_EXTRA = 0xFFFFFFFF  # the number does not fit: it is in the extra field, in 64 bits
_UTF_8, _ENCRYPTED = 0x800, 0x1
_ZIP64, _UNICODE_PATH = 0x1, 0x7075  # kinds of extra fields; the second is described in 4.6.9


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
            _read_entries(file, columns)
        self._numbers = columns[1:]
        self._hashes, self._order = _sorted(columns[0])
        self._file = open_descriptor(path)

    def has(self, names: Sequence[str]) -> list[bool]:
        """For each name, whether there is such an entry."""
        import numpy as np  # a machine that only submits has none

        if not self._hashes:
            return [False] * len(names)
        known = np.frombuffer(self._hashes, np.int64)
        wanted = np.fromiter(map(_key, names), np.int64, len(names))
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
        if raw.isascii() and _key(_entry_name(raw, flags, extra)) != _key(name):  # others may be written in two ways
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
        except RuntimeError as error:  # what zipfile raises for both; NotImplementedError is one, too
            raise zipfile.BadZipFile(str(error)) from error

    def _entry(self, name: str) -> _Entry:
        place = self._place(name)
        return _Entry(*(column[place] for column in self._numbers))

    def _place(self, name: str) -> int:
        """The entry's place in the directory. Raises KeyError."""
        wanted = _key(name)
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


def _read_entries(file: BufferedReader, columns: Sequence[array[int]]) -> None:
    """Appends the hash of each entry's name, and its numbers."""
    hashes, offsets, packed, sizes, checksums, methods = (column.append for column in columns)
    place, count, before = _directory(file)
    file.seek(place)
    for _ in range(count):
        fixed = file.read(_ENTRY.size)
        if len(fixed) < _ENTRY.size or not fixed.startswith(b"PK\x01\x02"):
            raise zipfile.BadZipFile("Bad magic number for central directory")
        _, flags, method, crc, compressed, size, name_size, extra_size, comment_size, offset = _ENTRY.unpack(fixed)
        rest = file.read(name_size + extra_size + comment_size)
        if _IN_EXTRA in (compressed, size, offset):
            extra = rest[name_size : name_size + extra_size]
            size, compressed, offset = _wide(extra, size, compressed, offset)
        hashes(_key(_entry_name(rest[:name_size], flags, rest[name_size : name_size + extra_size])))
        offsets(before + offset)
        packed(compressed)
        sizes(size)
        checksums(crc)
        methods(method)


def _directory(file: BufferedReader) -> tuple[int, int, int]:
    """The offset of the directory, the number of its entries, and the number of bytes before the archive."""
    length = file.seek(0, os.SEEK_END)
    first = max(0, length - _END.size - _LONGEST_COMMENT)
    file.seek(first)
    tail = file.read()
    found = tail.rfind(b"PK\x05\x06")
    if found < 0 or len(tail) - found < _END.size:
        raise zipfile.BadZipFile("File is not a zip file")
    _, count, size, offset, _ = _END.unpack_from(tail, found)
    end = first + found
    if found >= _LOCATOR.size and tail.startswith(b"PK\x06\x07", found - _LOCATOR.size):
        end = _LOCATOR.unpack_from(tail, found - _LOCATOR.size)[1]
        file.seek(end)
        _, count, size, offset = _END_64.unpack(file.read(_END_64.size).ljust(_END_64.size, b"\0"))
    if end - size < offset:
        raise zipfile.BadZipFile("Bad offset for central directory")
    return end - size, count, end - size - offset


def _wide(extra: bytes, *values: int) -> list[int]:
    """The values, where those that did not fit are replaced by the numbers in the ZIP64 extra field, in order."""
    content = _field(extra, _ZIP64)
    numbers = iter(struct.unpack(f"<{len(content) // 8}Q", content[: len(content) // 8 * 8]))
    return [next(numbers, value) if value == _IN_EXTRA else value for value in values]


def _field(extra: bytes, wanted: int) -> bytes:
    """The content of one of the extra fields; empty if it is not there."""
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        if kind == wanted:
            return extra[4 : 4 + size]
        extra = extra[4 + size :]
    return b""


def _entry_name(raw: bytes, flags: int, extra: bytes) -> str:
    """An entry's name. Info-ZIP and macOS write UTF-8 without the flag that says so, or in an extra field."""
    if raw.isascii():
        text = raw.decode("ascii")
    elif flags & _UTF_8:
        text = raw.decode("utf-8", "replace")
    else:
        text = _unicode_path(raw, extra) or _utf_8(raw) or raw.decode("cp437")
    return text if "\0" not in text else text.partition("\0")[0]


def _unicode_path(raw: bytes, extra: bytes) -> str | None:
    content = _field(extra, _UNICODE_PATH)
    if len(content) < 5 or int.from_bytes(content[1:5], "little") != zlib.crc32(raw):  # the name was changed since
        return None
    return _utf_8(content[5:])


def _utf_8(name: bytes) -> str | None:
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _key(name: str) -> int:
    """The hash of a name however it is written: macOS writes accents apart from their letters, and old tools of Windows
    backslashes."""
    name = name if name.isascii() else unicodedata.normalize("NFC", name)
    return hash(name.replace("\\", "/"))


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
