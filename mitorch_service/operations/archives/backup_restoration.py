"""Puts a backup back into a database of either engine."""

from __future__ import annotations

import hashlib
import json
import lzma
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.operations.archives.backup import ARTIFACTS, FORMAT, MANIFEST, BackupReport, Show
from mitorch_service.operations.archives.backup_documents import from_line
from mitorch_service.stores.base import Store
from mitorch_service.stores.requests import Collection, StoredDocument
from mitorch_service.stores.verbs.backup import COLLECTIONS

_PACKING = (zlib.error, lzma.LZMAError)
_BATCH = 500  # documents
_CHUNK = 1 << 20
_LONGEST = 1 << 26  # bytes of a line: more than any document has
_LONGEST_MANIFEST = 1 << 26  # bytes: a million members


def is_backup(path: Path) -> bool:
    """Whether the file is a zip file, which an archive of `micontrol prune` is not."""
    return zipfile.is_zipfile(path)


def put_back(store: Store, artifacts: ArtifactStore | None, path: Path, dry_run: bool, show: Show) -> BackupReport:
    """Adds the documents and artifacts that are missing; what is there stays as it is, so that a call that was killed
    is repeated. Every member is checked by its digest, and every line read, before anything is written. `artifacts`
    None: documents only. Raises InvalidInput for a file that is damaged, or of a newer version."""
    report = BackupReport()
    with _opened(path) as archive:
        _check(archive, path)
        for collection in COLLECTIONS:
            for _ in _batches(archive, collection, path):
                pass
        if not dry_run:
            store.prepare()
        for collection in COLLECTIONS:
            report.documents[collection] = 0
            for batch in _batches(archive, collection, path):
                added = len(batch) if dry_run else store.backup.add(collection, batch)
                report.documents[collection] += added
                report.present += len(batch) - added
                show(report)
        if artifacts is not None:
            for name in _artifacts(archive):
                report.artifacts += dry_run or _put_artifact(archive, name, artifacts)
                show(report)
    return report


def _check(archive: zipfile.ZipFile, path: Path) -> None:
    """Reads everything once. Raises InvalidInput, naming the member."""
    try:
        with archive.open(MANIFEST) as member:
            manifest = json.loads(member.read(_LONGEST_MANIFEST))
        made_as, digests = manifest["format"], dict[str, str](manifest["sha256"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise _refused(path, MANIFEST, "is missing or damaged: this is no backup of micontrol backup") from error
    if made_as != FORMAT:
        raise _refused(path, MANIFEST, f"format {made_as!r} is not known here (known: {FORMAT}); upgrade this machine")
    names = [name for name in archive.namelist() if name != MANIFEST]
    if sorted(names) != sorted(digests):
        other = sorted({*names} ^ digests.keys() or {name for name in names if names.count(name) > 1})
        raise _refused(path, other[0], "is listed or stored, but not both once")
    for name in names:
        if _digest(archive, name) != digests[name]:
            raise _refused(path, name, "is not what was backed up: its SHA-256 differs")


def _digest(archive: zipfile.ZipFile, name: str) -> str:
    digest = hashlib.sha256()
    with archive.open(name) as member:
        while chunk := member.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _batches(archive: zipfile.ZipFile, collection: Collection, path: Path) -> Iterator[list[StoredDocument]]:
    name = f"{collection}.jsonl"
    if name not in archive.namelist():
        return
    batch: list[StoredDocument] = []
    with archive.open(name) as member:
        number = 0
        while line := member.readline(_LONGEST):
            number += 1
            try:
                batch.append(from_line(line))
            except (ValueError, TypeError, AttributeError, RecursionError) as error:
                raise _refused(path, f"{name}, line {number}", f"cannot be read ({error})") from error
            if len(batch) == _BATCH:
                yield batch
                batch = []
    if batch:
        yield batch


def _artifacts(archive: zipfile.ZipFile) -> Iterator[str]:
    yield from (name for name in archive.namelist() if name.startswith(ARTIFACTS))


def _put_artifact(archive: zipfile.ZipFile, name: str, artifacts: ArtifactStore) -> bool:
    """Stores the file unless there is one; returns whether it did."""
    key = name.removeprefix(ARTIFACTS)
    if artifacts.exists(key):
        return False
    with tempfile.TemporaryDirectory(prefix="mitorch-restore-") as folder:
        copy = Path(folder) / "artifact"
        with archive.open(name) as member, copy.open("wb") as file:
            shutil.copyfileobj(member, file, _CHUNK)
        artifacts.put(key, copy)
    return True


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, EOFError, RuntimeError, UnicodeDecodeError, *_PACKING) as error:
        raise _refused(path, "", f"is cut off or damaged ({error})") from error
    except OSError as error:
        raise _refused(path, "", f"cannot be read: {error.strerror or error}") from error


def _refused(path: Path, where: str, problem: str) -> InvalidInput:
    return InvalidInput(str(path), [Problem(where, problem)])
