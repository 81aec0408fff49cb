"""Reads the configs of a bulk submission from a file, a folder or standard input."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.file_access import PRIVATE
from mitorch_service.models.config.validation import MAX_CONFIG_BYTES
from mitorch_service.models.config.yaml_text import YAML_SUFFIXES
from mitorch_service.submission.receipt import writing

_CHUNK = 1 << 20  # bytes


class Entry(NamedTuple):
    """One config of a source. People find it by its place, and its id is derived from that."""

    place: str  # "line 17", or a file's path within the folder
    text: bytes
    folder: Path = Path()  # which the paths in it are relative to: its file's own


_SUFFIXES = (".json", *YAML_SUFFIXES)


@dataclass(frozen=True)
class Digest:
    """The identity of a whole source."""

    content: str
    total: int
    first: str  # place
    last: str


class Source:
    """Reads the same configs as often as they are needed."""

    def __init__(self, path: str, folder: Path, stdin: BinaryIO) -> None:
        """`path`: a folder (every *.json, *.yaml and *.yml in it and below), a file with one config per line, or
        `-` for `stdin`. A stream, which can be read once only, is copied into an unnamed file in `folder` first. Raises
        InvalidInput, SettingsError."""
        self.name = "standard input" if path == "-" else path
        self._folder = Path(path) if path != "-" and Path(path).is_dir() else None
        self._path = Path(path)
        self._copied: BinaryIO | None = None
        if self._folder is None and not (path != "-" and self._path.is_file()):
            with self._reading(), _open_stream(path, stdin) as stream:
                self._copied = _copy(stream, folder)

    def entries(self) -> Iterator[Entry]:
        """The configs, always in the same order. Raises InvalidInput if they cannot be read."""
        with self._reading():
            if self._folder is not None:
                yield from _files(self._folder)
            elif self._copied is not None:
                self._copied.seek(0)
                yield from _lines(self._copied)
            else:
                with self._path.open("rb") as file:
                    yield from _lines(file, self._path.parent)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            where = error.filename if isinstance(error.filename, str) else ""
            raise InvalidInput(self.name, [Problem(where, f"cannot be read: {error.strerror}")]) from error


class Digester:
    """Computes the identity of a source from its entries and their places, whatever its name."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._total = 0
        self._first = ""
        self._last = ""

    def add(self, entry: Entry) -> None:
        self._hash.update(f"{entry.place}\0{len(entry.text)}\0".encode())
        self._hash.update(entry.text)
        self._total += 1
        self._first = self._first or entry.place
        self._last = entry.place

    def digest(self, source: str) -> Digest:
        """Raises InvalidInput if there was no entry."""
        if not self._total:
            raise InvalidInput(
                source, [Problem("", "holds no config; write one JSON object a line, or *.json or *.yaml files")]
            )
        return Digest(self._hash.hexdigest(), self._total, self._first, self._last)


def _copy(stream: BinaryIO, folder: Path) -> BinaryIO:
    """An unnamed file with what the stream holds. Raises SettingsError where it cannot be written."""
    with writing(folder):
        PRIVATE.make_folder(folder)
        copied = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - it lives as long as the source
    while data := stream.read(_CHUNK):
        with writing(folder):
            copied.write(data)
            copied.flush()
    return copied


def _open_stream(path: str, stdin: BinaryIO) -> AbstractContextManager[BinaryIO]:
    return nullcontext(stdin) if path == "-" else Path(path).open("rb")


def _lines(file: BinaryIO, folder: Path = Path()) -> Iterator[Entry]:
    """The lines that are not blank; a line that is too long is cut just behind the limit, so that the check sees it."""
    number = 0
    while text := file.readline(MAX_CONFIG_BYTES + 2):
        number += 1
        rest = text
        while not rest.endswith(b"\n") and (rest := file.readline(MAX_CONFIG_BYTES)):
            pass
        if text.strip():
            yield Entry(f"line {number}", text.rstrip(b"\r\n"), folder)


def _files(folder: Path) -> Iterator[Entry]:
    """The files by name, those of a folder before those of its subfolders; hidden ones are left out. Holds the names of
    one folder at a time."""

    def refuse(error: OSError) -> None:
        raise error

    for where, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(name for name in names if name.endswith(_SUFFIXES) and not name.startswith(".")):
            path = Path(where, name)
            if path.exists() and not path.is_file():  # opening a pipe would wait for a writer
                raise OSError(errno.EINVAL, "it is a folder, pipe or device", str(path))
            with path.open("rb") as file:
                place = os.fsencode(path.relative_to(folder)).decode("utf-8", "backslashreplace")
                yield Entry(place, file.read(MAX_CONFIG_BYTES + 1), path.parent)
