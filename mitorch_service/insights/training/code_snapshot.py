"""The stored code of a script, read from its archive without unpacking it: what it holds, and its files as text."""

from __future__ import annotations

import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.artifacts.tar_files import read_members
from mitorch_service.errors import ArtifactError, NotFound
from mitorch_service.models.config.script import CodeRecord
from mitorch_service.models.secrets import mask_secrets

MOST_FILES = 10_000
_MOST_BYTES = 100_000_000  # unpacked: as much as is packed at submission
MOST_TEXT = 200_000  # bytes of one file that are shown or compared
_REMEDY = "It may have been pruned; submit the script again to store its code anew."

Member = tuple[str, int, IO[bytes]]


@dataclass(frozen=True)
class CodeFile:
    """A file of the archive."""

    name: str
    size: int  # bytes


@dataclass(frozen=True)
class CodeText:
    """The beginning of a file as text, credentials masked."""

    name: str
    size: int  # bytes, of the whole file
    text: str | None  # None: it is no text
    is_whole: bool


def list_code(artifacts: ArtifactStore, code: CodeRecord) -> list[CodeFile]:
    """The files of the archive by name. Raises NotFound if it is gone, ArtifactError if it cannot be read."""
    with open_code(artifacts, code) as members:
        return sorted((CodeFile(name, size) for name, size, _ in members), key=lambda file: file.name)


def read_code_file(artifacts: ArtifactStore, code: CodeRecord, name: str) -> CodeText:
    """One file of the archive as text. Raises NotFound, ArtifactError."""
    with open_code(artifacts, code) as members:
        for found, size, content in members:
            if found == name:
                return as_text(name, size, content.read(MOST_TEXT))
    raise NotFound("file of this code", name, "The page of the training lists them.")


def as_text(name: str, size: int, content: bytes) -> CodeText:
    """The content as text, if it is some: UTF-8, perhaps with a few damaged characters, and no NUL."""
    is_whole = len(content) >= size
    if b"\0" in content:
        return CodeText(name, size, None, is_whole)
    text = content.decode("utf-8", "replace")
    if text.count("\ufffd") > 1 + len(text) // 20:
        return CodeText(name, size, None, is_whole)
    return CodeText(name, size, mask_secrets(text.removeprefix("\ufeff").replace("\r\n", "\n")), is_whole)


@contextmanager
def open_code(artifacts: ArtifactStore, code: CodeRecord) -> Iterator[Iterator[Member]]:
    """Provides name, size and content of the archive's files, one after the other. Raises NotFound, ArtifactError."""
    if not artifacts.exists(code.archive):
        raise NotFound("stored code", code.archive, _REMEDY)
    with tempfile.TemporaryDirectory(prefix="mitorch-viewer-") as folder:
        file = Path(folder, "code.tar.gz")
        artifacts.get(code.archive, file)
        try:
            yield read_members(file, MOST_FILES, _MOST_BYTES)
        except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
            raise ArtifactError(code.archive, "the viewer", f"it cannot be read ({error})") from error
