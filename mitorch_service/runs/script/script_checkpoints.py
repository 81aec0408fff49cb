"""Checkpoints of a script: copies of its own files and folders in the artifact store."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import lzma
import re
import tarfile
import tempfile
import threading
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.artifacts.tar_files import unpack
from mitorch_service.errors import ArtifactError, BrokenDocument
from mitorch_service.models.result import EpochResult

_KEPT = 2
_FILES, _RESULTS = "files", "results.json"
_NAME = re.compile(r"a(\d{4,})-(\d{6,})-e(\d{6,})-([0-9a-f]{64})$")

log = logging.getLogger("mitorch")


@dataclass(frozen=True, order=True)
class CheckpointName:
    """The name of a checkpoint; a later one is greater."""

    attempt: int
    number: int  # within the attempt
    epoch: int  # the last one reported before it; 0 if none was
    digest: str  # SHA-256 of the tar file

    def __str__(self) -> str:
        return f"a{self.attempt:04d}-{self.number:06d}-e{self.epoch:06d}-{self.digest}"


@dataclass(frozen=True)
class Restored:
    """A checkpoint that was copied to this machine."""

    path: Path
    epoch: int  # the last one reported before it
    results: list[EpochResult]  # the last ones reported before it, which may not be recorded


class ScriptCheckpoints:
    """The last two checkpoints of a training, each a tar file under ``<id>/checkpoints/<name>/``.

    The attempt is part of the name: a superseded attempt never changes the checkpoint from which its successor resumes.
    """

    def __init__(self, artifacts: ArtifactStore, training_id: str, attempt: int) -> None:
        self._artifacts = artifacts
        self._prefix = f"{training_id}/checkpoints/"
        self._attempt = attempt
        self._lock = threading.Lock()
        self._names: list[CheckpointName] | None = None  # oldest first; None until they are listed
        self.address: str | None = None  # of this attempt's newest

    def keep(self, path: Path, epoch: int, results: Sequence[EpochResult] = ()) -> None:
        """Stores a copy of the file or folder, with the results that the store may not have yet. Raises ArtifactError,
        OSError."""
        with self._lock, tempfile.TemporaryDirectory(prefix="mitorch-checkpoint-") as folder:
            file = Path(folder, "checkpoint.tar")
            with tarfile.open(file, "w", dereference=True) as tar:
                tar.add(path, f"{_FILES}/{path.name}", filter=_plain)
                plain = [result.to_document() for result in results]
                _add(tar, _RESULTS, json.dumps(plain, default=str).encode())
            mine = [one.number for one in self._listed() if one.attempt == self._attempt]
            name = CheckpointName(self._attempt, max(mine, default=0) + 1, epoch, _digest(file))
            self.address = self._artifacts.put(self._key(name), file)
            self._listed().append(name)
            while len(self._listed()) > _KEPT:
                self._forget(self._listed().pop(0))

    def restore(self, folder: Path) -> Restored | None:
        """Copies the newest undamaged checkpoint below the folder; None if there is none. Raises ArtifactError if the
        store cannot be read."""
        for name in reversed(self._listed()):
            found = self._restore(name, folder / str(name))
            if found is not None:
                return found
            log.warning("the checkpoint %s is damaged: it is skipped", self._key(name))
        return None

    def last_epoch(self) -> int:
        """The last epoch before the newest checkpoint; 0 if there is none. Raises ArtifactError."""
        return self._listed()[-1].epoch if self._listed() else 0

    def _restore(self, name: CheckpointName, folder: Path) -> Restored | None:
        """None if it is damaged."""
        folder.mkdir(parents=True)
        file = folder.with_suffix(".tar")
        self._artifacts.get(self._key(name), file)
        try:
            if _digest(file) != name.digest:
                return None
            unpack(file, folder)
            return Restored(_only(folder / _FILES), name.epoch, _read_results(folder / _RESULTS))
        except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, BrokenDocument, ValueError) as error:
            log.warning("%s", error)
            return None
        finally:
            file.unlink(missing_ok=True)

    def _forget(self, name: CheckpointName) -> None:
        try:
            self._artifacts.delete(f"{self._prefix}{name}/")
        except ArtifactError as error:
            log.warning("an old checkpoint cannot be deleted: %s", error)

    def _listed(self) -> list[CheckpointName]:
        if self._names is None:
            names = {key.removeprefix(self._prefix).partition("/")[0] for key in self._artifacts.keys(self._prefix)}
            matches = (_NAME.match(name) for name in names)
            found = (CheckpointName(int(m[1]), int(m[2]), int(m[3]), m[4]) for m in matches if m)
            self._names = sorted(one for one in found if one.attempt <= self._attempt)
        return self._names

    def _key(self, name: CheckpointName) -> str:
        return f"{self._prefix}{name}/checkpoint.tar"


def _only(folder: Path) -> Path:
    """Finds the file or folder that was kept. Raises ValueError if it is not one file or folder."""
    found = [*folder.iterdir()] if folder.is_dir() else []
    if len(found) != 1:
        raise ValueError(f"it holds {len(found)} files or folders in place of one")
    return found[0]


def _read_results(file: Path) -> list[EpochResult]:
    """Raises ValueError or BrokenDocument for what `keep` has not written."""
    if not file.is_file():
        raise ValueError(f"it holds no {file.name}")
    documents = json.loads(file.read_bytes())
    if not isinstance(documents, list) or not all(isinstance(one, dict) for one in documents):
        raise ValueError(f"its {file.name} is no list of results")
    return [EpochResult.from_document(one) for one in documents]


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """The member; None for a pipe, a socket or a device, which cannot be restored."""
    return member if member.isreg() or member.isdir() else None


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
