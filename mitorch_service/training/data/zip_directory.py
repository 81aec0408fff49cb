"""The directory of a zip archive: its entries with their names and numbers."""

from __future__ import annotations

import os
import struct
import unicodedata
import zipfile
import zlib
from array import array
from collections.abc import Sequence
from io import BufferedReader

# The records of a zip file: PKWARE, APPNOTE.TXT 6.3.10, sections 4.3.12, 4.3.14 to 4.3.16 and 4.5.3.
_ENTRY = struct.Struct("<4s4xHH4xLLLHHH8xL")  # flags, method; CRC, compressed, size; lengths; offset of the header
_END = struct.Struct("<4s6xHLLH")  # entries; size and offset of the directory
_LOCATOR = struct.Struct("<4s4xQ4x")  # offset of the 64-bit end record
_END_64 = struct.Struct("<4s28xQQQ")  # entries; size and offset of the directory
_LONGEST_COMMENT = 0xFFFF
_IN_EXTRA = 0xFFFFFFFF  # the number does not fit: it is in the extra field, in 64 bits
_UTF_8 = 0x800  # a flag
_ZIP64, _UNICODE_PATH = 0x1, 0x7075  # kinds of extra fields; the second is described in 4.6.9


def read_entries(file: BufferedReader, columns: Sequence[array[int]]) -> None:
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
        hashes(key_of(entry_name(rest[:name_size], flags, rest[name_size : name_size + extra_size])))
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


def entry_name(raw: bytes, flags: int, extra: bytes) -> str:
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


def key_of(name: str) -> int:
    """The hash of a name however it is written: macOS writes accents apart from their letters, and old tools of Windows
    backslashes."""
    name = name if name.isascii() else unicodedata.normalize("NFC", name)
    return hash(name.replace("\\", "/"))
