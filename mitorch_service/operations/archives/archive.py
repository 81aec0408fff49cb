"""The archive of pruned trainings: a gzip file that grows page by page and is complete at any time."""

from __future__ import annotations

import fcntl
import json
import math
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from mitorch_service.errors import ArtifactError, InvalidInput, Problem

Line = Mapping[str, Any]  # stored documents, as the database's driver gives them
Key = tuple[str, object, str, datetime]

GZIP = 31  # zlib's number for gzip members
_CHUNK = 1 << 20
_BEGINS = (b'{"training":', b'{"job":')  # of a line


class Archive:
    """JSON Lines, compressed by gzip: `{"training": document, "results": [document, …]}` or `{"job": document}`.

    Each page is a gzip member of its own, synced to disk before anything of it is deleted; any reader takes the members
    as one gzip file. Opening truncates a member that a kill left unfinished, and reads the last whole one, so that a
    page that was written and only partly deleted is not written twice. (Into another file it would be, with the results
    that are left by then.) One prune at a time may write to it.
    """

    def __init__(self, path: Path) -> None:
        """Raises InvalidInput if the file is not an archive, or in use; ArtifactError if it cannot be opened."""
        self._path = path
        self._last: set[Key] = set()
        with self._errors():
            self._file = path.open("a+b", buffering=0)
            try:
                self._lock()
                self._recover()
                _sync_folder(path.parent)
            except BaseException:
                self._file.close()
                raise

    def close(self) -> None:
        self._file.close()

    def add(self, lines: Iterable[Line]) -> None:
        """Appends the lines that the last page before this prune does not hold already, and syncs them to disk. Raises
        ArtifactError, without having added any."""
        packer = zlib.compressobj(wbits=GZIP)
        packed = [packer.compress(_to_line(line)) for line in lines if _key(line) not in self._last]
        if packed:
            self._write(b"".join([*packed, packer.flush()]))

    def _write(self, member: bytes) -> None:
        with self._errors():
            begin = self._file.seek(0, os.SEEK_END)
            try:
                rest = memoryview(member)
                while rest:
                    rest = rest[self._file.write(rest) :]
                os.fsync(self._file.fileno())
            except BaseException:
                self._file.truncate(begin)
                raise

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise self._refused("another prune is writing it; wait, or name another file") from None

    def _recover(self) -> None:
        """Truncates the file behind its last whole member, and remembers the lines in that."""
        self._file.seek(0)
        unpacker = zlib.decompressobj(GZIP)
        end = position = 0
        text = bytearray()
        last = b""
        while data := self._file.read(_CHUNK):
            position += len(data)
            while data:
                try:
                    text += unpacker.decompress(data)
                except zlib.error as error:
                    is_other = not end and "incorrect header" in str(error)
                    problem = "not a gzip file" if is_other else f"damaged after byte {end} ({error})"
                    raise self._refused(f"{problem}; name another file") from error
                data = unpacker.unused_data
                if unpacker.eof:
                    end = position - len(data)
                    last = bytes(text)
                    text = bytearray()
                    unpacker = zlib.decompressobj(GZIP)
        try:
            self._last = {_key(json.loads(line)) for line in last.splitlines()}
        except (LookupError, TypeError, ValueError) as error:
            raise self._refused("it holds something else; name another file") from error
        if not end and not any(text[: len(begin)] == begin[: len(text)] for begin in _BEGINS):
            raise self._refused("it is cut off and holds something else; name another file")
        self._file.truncate(end)

    def _refused(self, problem: str) -> InvalidInput:
        return InvalidInput("--archive", [Problem(str(self._path), problem)])

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ArtifactError(self._path.name, str(self._path.parent), error.strerror or str(error)) from error


def _key(line: Line) -> Key:
    """Identifies a line: the same training or job, ended with the same status at the same time."""
    kind = "training" if "training" in line else "job"
    document = line[kind]
    status = document["status"]
    return kind, document["_id"], status, _time(document["status_times"][status])


def _time(value: str | datetime) -> datetime:
    """Parses a stored time, which SQLite holds as text."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _to_line(line: Line) -> bytes:
    return json.dumps(_plain(line), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _plain(value: object) -> object:
    """Converts to JSON's types: times in ISO form; numbers that are not finite as text."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    return value if isinstance(value, str | int | float | None) else str(value)


def _sync_folder(folder: Path) -> None:
    """Makes a new file's name survive a power cut too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
