"""The code of a script as an archive. The same files always give the same bytes, and are stored once."""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import tarfile
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.artifacts.tar_files import unpack
from mitorch_service.errors import ArtifactError, DataError

if TYPE_CHECKING:
    from mitorch_service.runs.script.code_files import CodeFiles

MAX_BYTES = 100_000_000  # unpacked
MAX_FILES = 10_000
_CHUNK = 1 << 20
_NAMED = 3  # of the largest files, where the code is too large


@dataclass(frozen=True)
class CodeArchive:
    """A gzipped tar file and its contents."""

    file: Path
    digest: str  # SHA-256 of the tar file before compression, so that it does not depend on the compressing library
    files: int
    size: int  # bytes, unpacked
    left_out: tuple[str, ...] = ()  # names of files and folders that hold credentials

    @property
    def key(self) -> str:
        return code_key(self.digest)


def code_key(digest: str) -> str:
    """The key of the code in the artifact store, shared by all trainings that use it."""
    return f"code/{digest}.tar.gz"


def pack_code(source: Path, target: Path) -> CodeArchive:
    """Writes the file, or the folder's files that are not ignored and hold no credentials, to `target`. Raises
    ValueError, with a remedy, if the code is too large, not found or empty, or has links that lead out of it; OSError
    if it cannot be read."""
    from mitorch_service.runs.script.code_files import code_files

    if not source.exists():
        raise ValueError(f"{source} does not exist: give a folder or a file, relative to the config's own folder")
    found = code_files(source)
    files = sorted(found.files, key=lambda path: path.relative_to(found.root).parts)
    sizes = {path: path.stat().st_size for path in files}
    _check_size(found, sizes)
    with tempfile.TemporaryFile() as plain:
        with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for path in files:
                _add(tar, path, found.name(path))
        plain.seek(0)
        digest = hashlib.file_digest(plain, "sha256").hexdigest()
        plain.seek(0)
        with target.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed:
            shutil.copyfileobj(plain, packed, _CHUNK)
    return CodeArchive(target, digest, len(files), sum(sizes.values()), tuple(found.left_out))


def store_code(artifacts: ArtifactStore, archive: CodeArchive) -> None:
    """Uploads the archive unless it is stored already. Raises ArtifactError."""
    if not artifacts.exists(archive.key):
        artifacts.put(archive.key, archive.file)


def fetch_code(artifacts: ArtifactStore, digest: str, folder: Path) -> None:
    """Unpacks the code into the folder, which is created. Raises ArtifactError if it cannot be loaded, DataError if it
    is gone or was changed."""
    key = code_key(digest)
    if not artifacts.exists(key):
        raise DataError(f"script.code: {key} is no longer in the artifact store. Submit the script again.")
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="mitorch-code-") as temporary:
        file = Path(temporary, "code.tar.gz")
        artifacts.get(key, file)
        try:
            if _digest(file) != digest:
                raise DataError(f"script.code: {key} is not what was submitted. Submit the script again.")
            unpack(file, folder, MAX_FILES, MAX_BYTES)
        except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
            raise ArtifactError(key, str(folder), f"it cannot be unpacked ({error})") from error


def _check_size(found: CodeFiles, sizes: dict[Path, int]) -> None:
    root = found.root
    if not sizes:
        others = f", or that hold credentials ({', '.join(found.left_out)})" if found.left_out else ""
        raise ValueError(f"{root} contains no file, or only files that .gitignore or .mitorchignore exclude{others}")
    total = sum(sizes.values())
    if total <= MAX_BYTES and len(sizes) <= MAX_FILES:
        return
    largest = sorted(sizes, key=lambda path: -sizes[path])[:_NAMED]
    named = ", ".join(f"{path.relative_to(root)} {sizes[path] / 1e6:.1f} MB" for path in largest)
    raise ValueError(
        f"{root} holds {len(sizes)} files of {total / 1e6:.1f} MB, more than {MAX_FILES} or {MAX_BYTES / 1e6:.0f} MB "
        f"(the largest: {named}): exclude what is not code in .mitorchignore, in the syntax of .gitignore"
    )


def _add(tar: tarfile.TarFile, path: Path, name: str) -> None:
    """Adds a file without owner and times, which are no part of the code."""
    content = path.read_bytes()
    member = tarfile.TarInfo(name)
    member.size = len(content)
    member.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
    tar.addfile(member, io.BytesIO(content))


def _digest(file: Path) -> str:
    with gzip.open(file) as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
