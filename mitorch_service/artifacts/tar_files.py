"""Reading of the archives that we have packed. Others may have been put in their place: nothing in one is trusted."""

from __future__ import annotations

import gzip
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Self, cast

_NO_LIMIT = 1 << 62
_HEADER = 1 << 16  # bytes of a long name or of extended headers, which are read as a whole
_EXTENDED = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
_LATEST = 1 << 33  # seconds since 1970
_LONGEST_PATH = 3500  # bytes, as it comes below a folder


class UnsafeArchive(tarfile.TarError):
    """A member that none of our archives has."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"its member {name!r:.100} {problem}")


def unpack(file: Path, folder: Path, max_files: int = _NO_LIMIT, max_bytes: int = _NO_LIMIT) -> None:
    """Unpacks the files and folders below the folder, for its owner alone. Nothing is written if a member leads
    elsewhere, is a link or a device, or if there are more than the limits allow. Raises OSError, EOFError or
    TarError."""
    with tarfile.open(file) as tar:
        members = list(_checked(tar, max_files, max_bytes))
        tar.extraction_filter = _unchanged  # checked above, in the same way on every Python
        tar.extractall(folder, members)  # noqa: S202 (every member is checked above)


def read_members(file: Path, max_files: int, max_bytes: int) -> Iterator[tuple[str, int, IO[bytes]]]:
    """Yields name, size and content of each file of a gzipped archive, in its order; a content can be read until the
    next one is asked for. Nothing is unpacked to disk, and not more than `max_bytes` (and the headers) is decompressed.
    Raises OSError, EOFError or TarError, also in the midst of it."""
    with gzip.open(file) as packed:
        content = cast(IO[bytes], _Limited(packed, max_bytes + max_files * _HEADER))  # read is all that is called
        with tarfile.open(fileobj=content, mode="r|", tarinfo=_PlainHeader) as tar:
            for member in _checked(tar, max_files, max_bytes):
                reader = tar.extractfile(member) if member.isreg() else None
                if reader is not None:
                    yield member.name, member.size, reader


class _PlainHeader(tarfile.TarInfo):
    """A header; extended ones that are too long to be held are refused before they are read."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        header = super().frombuf(buf, encoding, errors)
        if header.type in _EXTENDED and header.size > _HEADER:
            raise UnsafeArchive(header.name, f"has a header of {header.size} bytes")
        return header


class _Limited:
    """The beginning of a stream: what goes on behind it was not packed by us."""

    def __init__(self, stream: gzip.GzipFile, limit: int) -> None:
        self._stream = stream
        self._left = limit

    def read(self, size: int) -> bytes:
        found = self._stream.read(min(size, self._left + 1))
        self._left -= len(found)
        if self._left < 0:
            raise UnsafeArchive("", "goes on behind the limit")
        return found


def _checked(tar: tarfile.TarFile, max_files: int, max_bytes: int) -> Iterator[tarfile.TarInfo]:
    size = count = 0
    files: set[PurePosixPath] = set()
    folders: set[PurePosixPath] = set()
    for member in tar:
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts or not (path.parts or member.isdir()):
            raise UnsafeArchive(member.name, "leads out of the folder")
        if not _is_name(path):
            raise UnsafeArchive(member.name, "has a name that no file can have")
        if not (member.isreg() or member.isdir()) or member.issparse():
            raise UnsafeArchive(member.name, "is neither a file nor a folder")
        if not files.isdisjoint((path, *path.parents)) or (path in folders and not member.isdir()):
            raise UnsafeArchive(member.name, "is there twice")
        folders.update(path.parents, (path,) if member.isdir() else ())
        files.update(() if member.isdir() else (path,))
        size, count = size + member.size, count + 1
        if count > max_files or size > max_bytes:
            raise UnsafeArchive(member.name, f"is more than {max_files} files or {max_bytes} bytes")
        member.mode = 0o700 if member.isdir() or member.mode & 0o100 else 0o600
        member.mtime = member.mtime if 0 <= member.mtime < _LATEST else 0  # it may be no number
        member.uid = member.gid = -1
        member.uname = member.gname = ""
        yield member


def _is_name(path: PurePosixPath) -> bool:
    try:
        name = os.fsencode(path)
    except UnicodeEncodeError:
        return False
    return b"\0" not in name and len(name) <= _LONGEST_PATH and all(len(part) <= 255 for part in name.split(b"/"))


def _unchanged(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo:
    return member
