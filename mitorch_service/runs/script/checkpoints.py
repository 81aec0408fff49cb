"""What a script keeps to go on from: files and folders of its own, in the artifact store."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import re
import tarfile
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.errors import ArtifactError
from mitorch_service.models.result import EpochResult
from mitorch_service.runs.script.tar_files import unpack

_KEPT = 2
_FILES, _RESULTS = "files", "results.json"
_NAME = re.compile(r"a(\d{4,})-(\d{6,})-e(\d{6,})-([0-9a-f]{64})$")

log = logging.getLogger("mitorch")


@dataclass(frozen=True, order=True)
class Kept:
    """One checkpoint; a later one is greater."""

    attempt: int
    number: int  # within the attempt
    epoch: int  # the last one reported before it; 0: none
    digest: str

    @property
    def name(self) -> str:
        return f"a{self.attempt:04d}-{self.number:06d}-e{self.epoch:06d}-{self.digest}"


@dataclass(frozen=True)
class Restored:
    """A checkpoint on this machine."""

    path: Path
    epoch: int  # the last one reported before it
    results: list[EpochResult]  # the last ones up to it


class ScriptCheckpoints:
    """The last two of a training, each a tar file under ``<id>/checkpoints/<name>/``. The attempt is part of the name:
    one that was taken over never changes what its successor goes on from."""

    def __init__(self, artifacts: ArtifactStore, training_id: str, attempt: int) -> None:
        self._artifacts, self._prefix, self._attempt = artifacts, f"{training_id}/checkpoints/", attempt
        self._lock = threading.Lock()
        self._kept: list[Kept] | None = None  # oldest first; None: not looked up
        self.address: str | None = None  # of the newest of this attempt

    def keep(self, path: Path, epoch: int, results: Sequence[EpochResult] = ()) -> None:
        """Stores a copy of the file or folder, with results that may not be recorded yet. Raises ArtifactError,
        OSError."""
        with self._lock, tempfile.TemporaryDirectory(prefix="mitorch-checkpoint-") as folder:
            file = Path(folder, "checkpoint.tar")
            with tarfile.open(file, "w", dereference=True) as tar:
                tar.add(path, f"{_FILES}/{path.name}")
                plain = [result.to_document() for result in results]
                _add(tar, _RESULTS, json.dumps(plain, default=str).encode())
            mine = [one.number for one in self._listed() if one.attempt == self._attempt]
            kept = Kept(self._attempt, max(mine, default=0) + 1, epoch, _digest(file))
            self.address = self._artifacts.put(self._key(kept), file)
            self._listed().append(kept)
            while len(self._listed()) > _KEPT:
                self._forget(self._listed().pop(0))

    def restore(self, folder: Path) -> Restored | None:
        """Puts the newest that is whole below the folder; None if there is none. Raises ArtifactError if the store
        cannot be read."""
        for kept in reversed(self._listed()):
            found = self._restore(kept, folder / kept.name)
            if found is not None:
                return found
            log.warning("the checkpoint %s is damaged: it is left out", self._key(kept))
        return None

    def last_epoch(self) -> int:
        """The epoch from whose end the attempt goes on; 0: from the beginning. Raises ArtifactError."""
        return self._listed()[-1].epoch if self._listed() else 0

    def _restore(self, kept: Kept, folder: Path) -> Restored | None:
        folder.mkdir(parents=True)
        file = folder.with_suffix(".tar")
        self._artifacts.get(self._key(kept), file)
        try:
            if _digest(file) != kept.digest:
                return None
            unpack(file, folder)
        except tarfile.TarError:
            return None
        finally:
            file.unlink(missing_ok=True)
        results = json.loads((folder / _RESULTS).read_bytes())
        path = next((folder / _FILES).iterdir())
        return Restored(path, kept.epoch, [EpochResult.from_document(result) for result in results])

    def _forget(self, kept: Kept) -> None:
        try:
            self._artifacts.delete(f"{self._prefix}{kept.name}/")
        except ArtifactError as error:
            log.warning("an old checkpoint stays: %s", error)

    def _listed(self) -> list[Kept]:
        if self._kept is None:
            names = {key.removeprefix(self._prefix).partition("/")[0] for key in self._artifacts.keys(self._prefix)}
            matches = (_NAME.match(name) for name in names)
            found = (Kept(int(m[1]), int(m[2]), int(m[3]), m[4]) for m in matches if m)
            self._kept = sorted(one for one in found if one.attempt <= self._attempt)
        return self._kept

    def _key(self, kept: Kept) -> str:
        return f"{self._prefix}{kept.name}/checkpoint.tar"


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def epochs_kept(artifacts: ArtifactStore, training_id: str, attempt: int) -> int:
    """The epoch from whose end an attempt of a script goes on; 0: from the beginning. Raises ArtifactError."""
    return 0 if attempt == 1 else ScriptCheckpoints(artifacts, training_id, attempt).last_epoch()


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
