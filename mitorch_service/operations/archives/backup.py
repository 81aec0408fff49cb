"""Writes a backup: one zip file with all documents and, if wanted, all artifacts, which restores into either engine.

    trainings.jsonl, jobs.jsonl, …    the documents of a collection, a line each
    artifacts/KEY                     a file of the artifact store
    manifest.json                     the last member: format, time, and count and SHA-256 of each other one

Documents are read before artifacts: an artifact that no document names does no harm.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.errors import ArtifactError, InvalidInput, Problem
from mitorch_service.operations.archives.backup_documents import to_line
from mitorch_service.stores.base import Store
from mitorch_service.stores.requests import Collection
from mitorch_service.stores.verbs.backup import COLLECTIONS

FORMAT = 1
MANIFEST = "manifest.json"
ARTIFACTS = "artifacts/"
_CHUNK = 1 << 20
_SHOWN_EVERY = 1000  # documents
_FOLDERS_OF_ARTIFACTS: tuple[Collection, ...] = ("trainings", "jobs")  # a folder for each document
_SHARED_FOLDER = "code/"


@dataclass
class BackupReport:
    """Counts of what a backup holds, or of what was put back."""

    documents: dict[Collection, int] = field(default_factory=dict)
    artifacts: int = 0
    present: int = 0  # documents that a restored database had already


Show = Callable[[BackupReport], object]


def back_up(store: Store, artifacts: ArtifactStore | None, path: Path, now: datetime, show: Show) -> BackupReport:
    """Writes the backup, beside everything that runs; without `artifacts` only the documents. The file is there when it
    is whole. Raises InvalidInput if there is one of that name, ArtifactError if it cannot be written."""
    if path.exists():
        raise InvalidInput(str(path), [Problem("", "exists already; name another file")])
    report = BackupReport()
    with _complete_or_none(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        writer = _Writer(archive)
        folders: list[str] = []
        for collection in COLLECTIONS:
            lines = _lines(store, collection, folders, report, show)
            writer.add(f"{collection}.jsonl", lines)
        if artifacts is not None:
            for key in _artifact_keys(artifacts, folders):
                writer.add_artifact(artifacts, key)
                report.artifacts += 1
                show(report)
        writer.finish(now, report)
    return report


class _Writer:
    """Adds members, and remembers their digests."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._digests: dict[str, str] = {}

    def add(self, name: str, parts: Iterable[bytes], compress: int = zipfile.ZIP_DEFLATED) -> None:
        digest = hashlib.sha256()
        information = zipfile.ZipInfo(name)
        information.compress_type = compress
        with self._archive.open(information, "w", force_zip64=True) as member:
            for part in parts:
                digest.update(part)
                member.write(part)
        self._digests[name] = digest.hexdigest()

    def add_artifact(self, artifacts: ArtifactStore, key: str) -> None:
        with tempfile.TemporaryDirectory(prefix="mitorch-backup-") as folder:
            copy = Path(folder) / "artifact"
            try:
                artifacts.get(key, copy)
            except ArtifactError:
                if not artifacts.exists(key):
                    return  # removed since it was listed: a checkpoint that nobody resumes
                raise
            self.add(f"{ARTIFACTS}{key}", _chunks(copy), zipfile.ZIP_STORED)  # weights hardly get smaller

    def finish(self, now: datetime, report: BackupReport) -> None:
        manifest = {
            "format": FORMAT,
            "made_at": now.isoformat(timespec="seconds"),
            "documents": report.documents,
            "artifacts": report.artifacts,
            "sha256": self._digests,
        }
        self._archive.writestr(MANIFEST, json.dumps(manifest, indent=1))


def _lines(
    store: Store, collection: Collection, folders: list[str], report: BackupReport, show: Show
) -> Iterator[bytes]:
    report.documents[collection] = 0
    for document in store.backup.documents(collection):
        report.documents[collection] += 1
        if collection in _FOLDERS_OF_ARTIFACTS:
            folders.append(str(document["_id"]))
        if report.documents[collection] % _SHOWN_EVERY == 0:
            show(report)
        yield to_line(collection, document)


def _artifact_keys(artifacts: ArtifactStore, ids: Iterable[str]) -> Iterator[str]:
    for id in ids:
        yield from artifacts.keys(f"{id}/")
    yield from artifacts.keys(_SHARED_FOLDER)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


@contextmanager
def _complete_or_none(path: Path) -> Iterator[IO[Any]]:
    """Opens a file beside `path`, for its owner alone, which takes its place when it is complete and on the disk."""
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                os.link(file.name, path)  # which replaces no file of another backup
            finally:
                Path(file.name).unlink()
    except FileExistsError as error:
        raise InvalidInput(str(path), [Problem("", "exists already; name another file")]) from error
    except OSError as error:
        raise ArtifactError(path.name, str(path.parent), error.strerror or str(error)) from error
