"""Reads messages of Protocol Buffers without their schema: field by field, as the wire format has them.

https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

Value = int | bytes  # a varint, or the bytes of anything else

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def fields(message: bytes) -> Iterator[tuple[int, Value]]:
    """Yields the number and value of each field, in their order. Raises ValueError for what is no message."""
    place, end = 0, len(message)
    while place < end:
        key, place = _varint(message, place)
        kind = key & 7
        if kind == _VARINT:
            value, place = _varint(message, place)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            size, place = _varint(message, place)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"a field of the unknown kind {kind}")
        if place + size > end:
            raise ValueError("a field goes beyond the end of its message")
        yield key >> 3, message[place : place + size]
        place += size


def inner(value: Value) -> bytes:
    """Returns the bytes of a field. Raises ValueError for a number."""
    if isinstance(value, int):
        raise ValueError("a number where a message or text belongs")
    return value


def text(value: Value) -> str:
    """Returns the text of a field."""
    return inner(value).decode("utf-8", "replace")


def double(value: Value) -> float:
    """Returns a field of the type double."""
    return _unpacked("<d", value)


def single(value: Value) -> float:
    """Returns a field of the type float."""
    return _unpacked("<f", value)


def whole(value: Value) -> int:
    """Returns a field of the type int64."""
    if not isinstance(value, int):
        raise ValueError("bytes where a whole number belongs")
    return value - (1 << 64) if value >> 63 else value


def zigzag(value: Value) -> int:
    """Returns a field of the type sint64."""
    if not isinstance(value, int):
        raise ValueError("bytes where a whole number belongs")
    return (value >> 1) ^ -(value & 1)


def _unpacked(layout: str, value: Value) -> float:
    try:
        number: float = struct.unpack(layout, inner(value))[0]
    except struct.error as error:
        raise ValueError(str(error)) from error
    return number


def _varint(message: bytes, place: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        if place >= len(message) or shift > 63:
            raise ValueError("a number goes beyond the end of its message")
        byte = message[place]
        place += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result & 0xFFFFFFFFFFFFFFFF, place
        shift += 7
