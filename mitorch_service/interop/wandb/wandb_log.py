"""Reads the records of a file that Weights & Biases keeps of each run: a log as LevelDB writes it, of Protocol Buffers.

https://github.com/google/leveldb/blob/main/doc/log_format.md, with its own header and with CRC-32 in place of CRC-32C.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mitorch_service.interop.foreign_run import DamagedRun

_BLOCK = 32768
_HEADER = struct.Struct("<IHB")  # checksum, length, kind
_FILE_HEADER = b":W&B\xe1\xbe\x00"
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_LONGEST = 1 << 28  # bytes of a record


def read_records(path: Path) -> Iterator[bytes]:
    """Yields the records. Ends at one that is cut off, as a killed run leaves it. Raises DamagedRun for a wrong
    checksum, and OSError."""
    with path.open("rb") as file:
        if file.read(len(_FILE_HEADER)) != _FILE_HEADER:
            raise DamagedRun(f"{path.name} does not begin as a file of wandb does")
        begun = bytearray()
        for kind, data in _pieces(file, path.name):
            if kind in (_FULL, _FIRST):
                begun = bytearray()
            begun += data
            if len(begun) > _LONGEST:
                raise DamagedRun(f"{path.name} has a record of more than {_LONGEST} bytes")
            if kind in (_FULL, _LAST):
                yield bytes(begun)


def _pieces(file: BinaryIO, name: str) -> Iterator[tuple[int, bytes]]:
    place = len(_FILE_HEADER)
    while True:
        left = _BLOCK - place % _BLOCK
        if left < _HEADER.size:  # padding
            file.read(left)
            place += left
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size:
            return
        checksum, length, kind = _HEADER.unpack(header)
        data = file.read(length)
        if len(data) < length or not any(header):  # cut off, or a file whose last block was never written
            return
        if zlib.crc32(data, zlib.crc32(bytes([kind]))) != checksum or kind > _LAST:
            raise DamagedRun(f"{name} is damaged at byte {place}: a checksum is wrong")
        yield kind, data
        place += _HEADER.size + length
