"""A stand-in for Azure Service Bus: as much of AMQP 1.0 as its SDK uses to receive, lock and settle messages of one
queue, over plain TCP on this machine, as Microsoft's emulator speaks it. Frames are coded by the SDK's own coder."""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from azure.servicebus._pyamqp import performatives as frames
from azure.servicebus._pyamqp._decode import decode_frame, decode_payload
from azure.servicebus._pyamqp._encode import encode_frame, encode_payload
from azure.servicebus._pyamqp.endpoints import Source, Target
from azure.servicebus._pyamqp.error import AMQPError
from azure.servicebus._pyamqp.message import Header, Message, Properties
from azure.servicebus._pyamqp.outcomes import Accepted, Modified, Rejected

_SASL, _AMQP = b"AMQP\x03\x01\x00\x00", b"AMQP\x00\x01\x00\x00"
_LOCK_LOST = b"com.microsoft:message-lock-lost"
_OPEN, _BEGIN, _ATTACH, _FLOW, _TRANSFER, _DISPOSITION, _DETACH, _END, _CLOSE = range(0x10, 0x19)


@dataclass
class Entry:
    """A message in the queue."""

    body: bytes
    id: str | None
    sequence: int
    deliveries: int = 0
    lock: uuid.UUID | None = None
    locked_until: float = 0.0


@dataclass
class Bus:
    """A namespace with one queue."""

    port: int = 0
    lock_seconds: float = 30.0
    entries: list[Entry] = field(default_factory=list)
    dead: list[tuple[bytes, str]] = field(default_factory=list)  # dead letters: body and description
    renewals: int = 0
    refuses: int | None = None  # the status that tokens are answered with
    tokens: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    guard: threading.RLock = field(default_factory=threading.RLock)
    _sent: int = 0

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def send(self, body: str, id: str | None = None) -> None:
        with self.guard:
            self._sent += 1
            self.entries.append(Entry(body.encode(), id, self._sent))

    def end_locks(self) -> None:
        """Every message may be taken again."""
        with self.guard:
            for entry in self.entries:
                entry.locked_until = 0.0

    def take(self) -> Entry | None:
        """Locks the next message."""
        with self.guard:
            free = (entry for entry in self.entries if entry.locked_until <= time.time())
            entry = next(free, None)
            if entry is not None:
                entry.lock, entry.locked_until = uuid.uuid4(), time.time() + self.lock_seconds
            return entry

    def locked(self, lock: uuid.UUID) -> Entry | None:
        """The message that this lock still holds."""
        with self.guard:
            return next((one for one in self.entries if one.lock == lock and one.locked_until > time.time()), None)

    def settle(self, lock: uuid.UUID, how: str, description: str = "") -> bool:
        """Accepts, releases or rejects a message; False if the lock was lost."""
        with self.guard:
            entry = self.locked(lock)
            if entry is None:
                return False
            entry.locked_until = 0.0
            entry.deliveries += 1
            if how != "modified":
                self.entries.remove(entry)
            if how == "rejected":
                self.dead.append((entry.body, description))
            return True


@contextmanager
def serving() -> Iterator[Bus]:
    """A namespace that answers."""
    bus = Bus()
    with socket.create_server(("127.0.0.1", 0)) as server:
        bus.port = server.getsockname()[1]
        threads: list[threading.Thread] = []

        def accept() -> None:
            while not bus.over.is_set():
                if select.select([server], [], [], 0.05)[0]:
                    thread = threading.Thread(target=_Peer(bus, server.accept()[0]).run, daemon=True)
                    threads.append(thread)
                    thread.start()

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield bus
        finally:
            bus.over.set()
            for thread in (accepting, *threads):
                thread.join(5)


@dataclass
class _Link:
    name: str
    handle: int
    receives: bool  # the client does
    address: str
    credit: int = 0
    count: int = 0


class _Peer:
    """One connection."""

    def __init__(self, bus: Bus, connection: socket.socket) -> None:
        self._bus, self._socket = bus, connection
        self._links: dict[int, _Link] = {}
        self._deliveries = 0
        self._channel = 0  # of the last frame: a client has one session
        self._unsettled: dict[int, uuid.UUID] = {}

    def run(self) -> None:
        with self._socket, suppress(OSError, EOFError):
            while self._read(8) == _SASL:
                self._socket.sendall(_SASL)
                self._send(frames.SASLMechanism(["ANONYMOUS", "MSSBCBS"]), kind=b"\x01")
                self._frame()
                self._send(frames.SASLOutcome(0, None), kind=b"\x01")
            self._socket.sendall(_AMQP)
            while not self._bus.over.is_set():
                if select.select([self._socket], [], [], 0.02)[0]:
                    found = self._frame()
                    if found is not None and self._handle(*found):
                        return
                self._pump()

    def _handle(self, code: int, fields: list[Any]) -> bool:
        """Returns whether the connection ends."""
        if code == _OPEN:
            self._send(frames.OpenFrame("bus", None, 1 << 20, 100, 60_000, None, None, None, None, None))
        elif code == _BEGIN:
            self._send(frames.BeginFrame(self._channel, 0, 5000, 5000, 255, None, None, None))
        elif code == _ATTACH:
            self._attach(fields)
        elif code == _FLOW:
            self._take_credit(fields)
        elif code == _TRANSFER:
            self._request(self._links[fields[0]], fields)
        elif code == _DISPOSITION:
            self._settle(fields)
        elif code == _DETACH:
            self._links.pop(fields[0], None)
            self._send(frames.DetachFrame(fields[0], True, None))
        else:
            self._send(frames.EndFrame(None) if code == _END else frames.CloseFrame(None))
        return code == _CLOSE

    def _take_credit(self, fields: list[Any]) -> None:
        link = self._links.get(fields[4])
        if link is not None:
            link.credit = (fields[5] or 0) + (fields[6] or 0) - link.count
            if fields[8]:  # the rest is to be given back
                link.count, link.credit = link.count + link.credit, 0
                self._flow(link)

    def _attach(self, fields: list[Any]) -> None:
        name, handle, role, send_mode, receive_mode, source, target = fields[:7]
        address = _text((source if role else target)[0])
        link = self._links[handle] = _Link(_text(name), handle, bool(role), address)
        answer = frames.AttachFrame(
            *(name, handle, not role, send_mode, receive_mode, _source(source[0]), _target(target[0])),
            *(None, None, 0, None, None, None, None),
        )
        self._send(answer)
        if not link.receives:
            link.credit = 100
            self._flow(link)

    def _flow(self, link: _Link) -> None:
        self._send(frames.FlowFrame(0, 5000, 0, 5000, link.handle, link.count, link.credit, None, None, None, None))

    def _request(self, link: _Link, fields: list[Any]) -> None:
        """A message to $cbs or $management, which is answered on the client's other link of that name."""
        message: Any = decode_payload(memoryview(fields[-1]))
        self._send(frames.DispositionFrame(True, fields[1], fields[1], True, Accepted(), None))
        properties = {_text(key): value for key, value in message.application_properties.items()}
        answers = next(one for one in self._links.values() if one.receives and one.address == link.address)
        if link.address == "$cbs":
            self._bus.tokens.append(_text(message.value))
            status = self._bus.refuses or 202
            told: dict[str | bytes, Any] = {"status-code": status, "status-description": "token"}
            self._answer(answers, message, told, {})
            return
        locks = message.value[b"lock-tokens"]
        entries = [self._bus.locked(lock) for lock in locks]
        if None in entries or _text(properties["operation"]) != "com.microsoft:renew-lock":
            lost: dict[str | bytes, Any] = {
                "statusCode": 410,
                "statusDescription": "lost",
                "errorCondition": _LOCK_LOST,
            }
            self._answer(answers, message, lost, {})
            return
        self._bus.renewals += 1
        until = time.time() + self._bus.lock_seconds
        for entry in entries:
            assert entry is not None
            entry.locked_until = until
        times = {"TYPE": "ARRAY", "VALUE": [{"TYPE": "TIMESTAMP", "VALUE": int(until * 1000)}]}
        done: dict[str | bytes, Any] = {"statusCode": 200, "statusDescription": "OK"}
        self._answer(answers, message, done, {b"expirations": times})

    def _answer(self, link: _Link, request: Any, status: dict[str | bytes, Any], value: dict[Any, Any]) -> None:
        properties = Properties(correlation_id=request.properties[0])
        self._transfer(link, Message(properties=properties, application_properties=status, value=value), b"a", True)

    def _pump(self) -> None:
        """Delivers what there is to whoever has asked for it."""
        for link in self._links.values():
            while link.receives and not link.address.endswith(("$cbs", "$management")) and link.credit > 0:
                entry = self._bus.take()
                if entry is None:
                    break
                assert entry.lock is not None
                annotations: dict[str | bytes, Any] = {
                    b"x-opt-sequence-number": {"TYPE": "LONG", "VALUE": entry.sequence},
                    b"x-opt-locked-until": {"TYPE": "TIMESTAMP", "VALUE": int(entry.locked_until * 1000)},
                }
                message = Message(
                    header=Header(delivery_count=entry.deliveries),
                    message_annotations=annotations,
                    properties=Properties(message_id=entry.id),
                    data=[entry.body],
                )
                self._unsettled[self._deliveries] = entry.lock
                self._transfer(link, message, entry.lock.bytes_le, False)

    def _transfer(self, link: _Link, message: Message, tag: bytes, settled: bool) -> None:
        payload = bytearray()
        encode_payload(payload, message)
        self._send(
            frames.TransferFrame(
                handle=link.handle,
                delivery_id=self._deliveries,
                delivery_tag=tag,
                message_format=0,
                settled=settled,
                more=False,
                payload=bytes(payload),
            )
        )
        self._deliveries += 1
        link.count, link.credit = link.count + 1, link.credit - 1

    def _settle(self, fields: list[Any]) -> None:
        _, first, last, settled, state, _ = fields[:6]
        how, details = next(iter(state.items()))
        for delivery in range(first, (first if last is None else last) + 1):
            lock = self._unsettled.pop(delivery, None)
            if lock is None:
                continue
            done = self._bus.settle(lock, _text(how), _description(details))
            if not settled:
                outcome = _OUTCOMES[_text(how)] if done else Rejected(AMQPError(_LOCK_LOST, "lost"))
                self._send(frames.DispositionFrame(False, delivery, delivery, True, outcome, None))

    def _send(self, frame: Any, kind: bytes = b"\x00") -> None:
        header, body = encode_frame(frame, frame_type=kind)
        self._socket.sendall(header + (b"" if body is None else struct.pack(">H", self._channel) + bytes(body)))

    def _frame(self) -> tuple[int, list[Any]] | None:
        size = int.from_bytes(self._read(4), "big")
        rest = self._read(size - 4)
        self._channel = int.from_bytes(rest[2:4], "big")
        return None if size == 8 else decode_frame(memoryview(rest[4:]))

    def _read(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            piece = self._socket.recv(size - len(found))
            if not piece:
                raise EOFError
            found += piece
        return found


# Their fields have defaults, which mypy does not see.
_source: Any = Source
_target: Any = Target
_OUTCOMES = {"accepted": Accepted(), "modified": Modified(None, None, None), "rejected": Rejected(None)}


def _description(details: Any) -> str:
    """The reason of a dead letter, from the error of a rejected outcome."""
    error = details[0] if details and isinstance(details[0], list) else None
    info = error[2] if error is not None and len(error) > 2 else None
    return _text((info or {}).get(b"DeadLetterErrorDescription", ""))


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
