"""MongoDB's wire protocol: OP_MSG, and OP_QUERY as far as the first hello needs it."""

import asyncio
import itertools
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import bson
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument

OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
CHECKSUM_PRESENT, MORE_TO_COME = 1, 2
MAX_MESSAGE_BYTES = 48_000_000
HEADER = struct.Struct("<iiii")
# Documents inside a command stay raw, so that no type is lost between client and engine.
RAW = CodecOptions(document_class=RawBSONDocument, datetime_conversion=DatetimeConversion.DATETIME_MS)

_reply_ids = itertools.count(1)


class ProtocolError(Exception):
    """The client sent something that is not a message this gateway knows."""


@dataclass
class Request:
    """One command, with the document sequences (kind 1 sections) it carries still in bytes."""

    request_id: int
    opcode: int
    body: Mapping[str, Any]
    sequences: dict[str, bytes] = field(default_factory=dict)
    wants_reply: bool = True


async def read_request(reader: asyncio.StreamReader) -> Request:
    """Read the next command."""
    length, request_id, _, opcode = HEADER.unpack(await reader.readexactly(HEADER.size))
    if not HEADER.size < length <= MAX_MESSAGE_BYTES + HEADER.size:
        raise ProtocolError(f"message of {length} bytes")
    payload = await reader.readexactly(length - HEADER.size)
    if opcode == OP_MSG:
        return _parse_msg(request_id, payload)
    if opcode == OP_QUERY:
        return _parse_query(request_id, payload)
    raise ProtocolError(f"opcode {opcode}")


def _parse_msg(request_id: int, payload: bytes) -> Request:
    (flags,) = struct.unpack_from("<I", payload)
    end = len(payload) - (4 if flags & CHECKSUM_PRESENT else 0)
    body: Mapping[str, Any] | None = None
    sequences: dict[str, bytes] = {}
    at = 4
    while at < end:
        kind, size = struct.unpack_from("<Bi", payload, at)
        section = payload[at + 1 : at + 1 + size]
        if kind == 0:
            body = bson.decode(section, RAW)
        elif kind == 1:
            name_end = section.index(b"\0", 4)
            sequences[section[4:name_end].decode()] = section[name_end + 1 :]
        else:
            raise ProtocolError(f"section kind {kind}")
        at += 1 + size
    if body is None:
        raise ProtocolError("OP_MSG without a body")
    return Request(request_id, OP_MSG, body, sequences, not flags & MORE_TO_COME)


def _parse_query(request_id: int, payload: bytes) -> Request:
    name_end = payload.index(b"\0", 4)
    database = payload[4:name_end].decode().split(".", 1)[0]
    (size,) = struct.unpack_from("<i", payload, name_end + 9)
    body = dict(bson.decode(payload[name_end + 9 : name_end + 9 + size], RAW).items())
    return Request(request_id, OP_QUERY, {**body, "$db": database})


def encode_reply(request: Request, document: bytes) -> bytes:
    """Frame an encoded answer in the protocol the request came in."""
    if request.opcode == OP_QUERY:
        opcode, head = OP_REPLY, struct.pack("<iqii", 8, 0, 0, 1)
    else:
        opcode, head = OP_MSG, b"\0\0\0\0\0"
    length = HEADER.size + len(head) + len(document)
    return HEADER.pack(length, next(_reply_ids), request.request_id, opcode) + head + document
