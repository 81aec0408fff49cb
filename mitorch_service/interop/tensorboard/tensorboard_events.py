"""Reads the events in TensorBoard's files: scalars and hyper-parameters; everything else is only counted.

The numbers of the fields are those of tensorboard/compat/proto/event.proto, summary.proto and tensor.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mitorch_service.interop.foreign_run import DamagedRun
from mitorch_service.interop.protobuf import double, fields, inner, single, text, whole
from mitorch_service.interop.tensorboard.tfrecord import TFRecord, read_tfrecords

_LONGEST_SCALAR = 100_000  # bytes of an event: longer ones hold pictures and the like
_LAYOUTS = {1: "<f", 2: "<d", 3: "<i", 9: "<q", 19: "<e"}  # data type -> of one number in `tensor_content`
_NUMBERS = {5: "<f", 6: "<d"}  # field of a tensor with plain numbers -> layout; they may be packed
_WHOLE_NUMBERS = (7, 10)
_BFLOAT16 = 14
_SESSION_START = 1


@dataclass
class Event:
    """One event: its scalars by tag, and what else is in it."""

    at: float = 0.0  # seconds since 1970
    step: int = 0
    scalars: list[tuple[str, float]] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)
    status: int | None = None  # of hyper-parameters: 1 success, 2 failure, 3 running
    others: list[str] = field(default_factory=list)  # "image", "histogram", …
    is_restart: bool = False  # what was logged at this step and later is void


def read_events(path: Path) -> Iterator[Event]:
    """Yields the events of a file. Raises DamagedRun, and OSError."""
    for record in read_tfrecords(path):
        try:
            event = _parse(record.data)
        except (ValueError, struct.error) as error:
            record.check()
            raise DamagedRun(f"{record.place} is no event of TensorBoard ({error})") from error
        if event.scalars or event.parameters or len(record.data) < _LONGEST_SCALAR:
            record.check()
        yield event


def first_record(path: Path) -> TFRecord | None:
    """Returns the first record of a file, None if there is none. Raises DamagedRun, and OSError."""
    return next(read_tfrecords(path), None)


def _parse(data: bytes) -> Event:
    event = Event()
    for kind, value in fields(data):
        if kind == 1:
            event.at = double(value)
        elif kind == 2:
            event.step = whole(value)
        elif kind == 5:
            for inner_kind, one in fields(inner(value)):
                if inner_kind == 1:
                    _read_value(inner(one), event)
        elif kind == 7:
            event.is_restart = dict(fields(inner(value))).get(1) == _SESSION_START
    return event


def _read_value(message: bytes, event: Event) -> None:
    found = dict(fields(message))
    tag = text(found.get(1, b""))
    plugin, content = _plugin(found)
    if plugin == "hparams":
        _read_hparams(content, event)
    elif 2 in found:
        event.scalars.append((tag, single(found[2])))
    elif 8 in found and (scalar := _scalar(inner(found[8]))) is not None:
        event.scalars.append((tag, scalar))
    else:
        words = {4: "image", 5: "histogram", 6: "audio"}
        event.others.append(next((word for kind, word in words.items() if kind in found), _word(plugin)))


def _plugin(found: dict[int, Any]) -> tuple[str, bytes]:
    """The name of the plug-in that a value is for, and what it has stored."""
    if 9 not in found:
        return "", b""
    plugin = dict(fields(inner(dict(fields(inner(found[9]))).get(1, b""))))
    return text(plugin.get(1, b"")), inner(plugin.get(2, b""))


def _word(plugin: str) -> str:
    return {"images": "image", "histograms": "histogram", "": "value of another kind"}.get(plugin, plugin)


def _scalar(tensor: bytes) -> float | None:
    """The value of a tensor that holds one number; None for any other."""
    parts = list(fields(tensor))
    kind = next((whole(value) for number, value in parts if number == 1), 0)
    numbers: list[float] = []
    for number, value in parts:
        if number == 4 and kind in _LAYOUTS:
            numbers += _unpacked(_LAYOUTS[kind], inner(value))
        elif number in _NUMBERS:
            numbers += _unpacked(_NUMBERS[number], inner(value))
        elif number in _WHOLE_NUMBERS and isinstance(value, int):
            numbers.append(whole(value))
        elif number == 4 and kind == _BFLOAT16 and len(inner(value)) == 2:
            numbers += _unpacked("<f", b"\0\0" + inner(value))
    return numbers[0] if len(numbers) == 1 else None


def _unpacked(layout: str, data: bytes) -> Sequence[float]:
    if len(data) != struct.calcsize(layout):
        return (0.0, 0.0)  # more than one number
    return struct.unpack(layout, data)


def _read_hparams(content: bytes, event: Event) -> None:
    for kind, value in fields(content):
        if kind == 3:
            for number, entry in fields(inner(value)):
                if number == 1:
                    pair = dict(fields(inner(entry)))
                    event.parameters[text(pair.get(1, b""))] = _json_value(inner(pair.get(2, b"")))
        elif kind == 4:
            event.status = whole(dict(fields(inner(value))).get(1, 0))


def _json_value(message: bytes) -> Any:
    """A google.protobuf.Value."""
    for kind, value in fields(message):
        if kind == 2:
            return double(value)
        if kind == 3:
            return text(value)
        if kind == 4:
            return bool(value)
        if kind == 5:
            pairs = (dict(fields(inner(one))) for number, one in fields(inner(value)) if number == 1)
            return {text(pair.get(1, b"")): _json_value(inner(pair.get(2, b""))) for pair in pairs}
        if kind == 6:
            return [_json_value(inner(one)) for number, one in fields(inner(value)) if number == 1]
    return None
