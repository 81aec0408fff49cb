"""Reads TFRecord files, as TensorBoard's event files are: length, checksum, data, checksum.

https://www.tensorflow.org/tutorials/load_data/tfrecord
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mitorch_service.interop.foreign_run import DamagedRun

_HEADER = struct.Struct("<QI")  # length, and the masked CRC-32C of its bytes
_LONGEST = 1 << 30  # bytes of a record


@dataclass(frozen=True)
class TFRecord:
    """One record, whose data need to be checked only where they are used: in Python that takes 0.1 µs a byte."""

    data: bytes
    checksum: int
    place: str

    def check(self) -> None:
        """Raises DamagedRun if the data are not those that were written."""
        if masked_crc32c(self.data) != self.checksum:
            raise DamagedRun(f"{self.place} is damaged: a checksum is wrong")


def read_tfrecords(path: Path) -> Iterator[TFRecord]:
    """Yields the records. Ends at one that is cut off, as a killed run leaves it. Raises DamagedRun where no record
    begins, and OSError."""
    with path.open("rb") as file:
        place = 0
        while True:
            header = file.read(_HEADER.size)
            if len(header) < _HEADER.size:
                return
            length, checksum = _HEADER.unpack(header)
            if masked_crc32c(header[:8]) != checksum or length > _LONGEST:
                raise DamagedRun(f"{path.name} is damaged at byte {place}: no record begins there")
            data = file.read(length)
            footer = file.read(4)
            if len(footer) < 4:
                return
            yield TFRecord(data, int.from_bytes(footer, "little"), f"{path.name} at byte {place}")
            place += _HEADER.size + length + 4


def masked_crc32c(data: bytes) -> int:
    """Returns the checksum of RFC 3720 as TFRecord stores it: rotated, plus a constant."""
    crc = 0xFFFFFFFF
    table = _TABLE
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _entry(index: int) -> int:
    for _ in range(8):
        index = index >> 1 ^ (0x82F63B78 if index & 1 else 0)
    return index


_TABLE = tuple(_entry(index) for index in range(256))
