"""Backups, archives of pruned trainings, code archives and checkpoints of scripts."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import zipfile
import zlib
from functools import cache
from pathlib import Path

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.artifacts.tar_files import read_members, unpack
from mitorch_service.errors import ArtifactError
from mitorch_service.models.status import TrainingStatus
from mitorch_service.operations.archives.archive_reading import read_archive
from mitorch_service.operations.archives.backup_documents import to_line
from mitorch_service.operations.archives.backup_restoration import put_back
from mitorch_service.operations.archives.restoration import restore
from mitorch_service.stores.requests import Collection
from mitorch_service.stores.sqlite.store import SqliteStore
from mitorch_service.stores.verbs.backup import COLLECTIONS
from tests.fuzzing.target import Target
from tests.samples import NOW, a_dataset, a_result, a_training


@cache
def _training() -> bytes:
    ended = a_training(id="1" * 32, status=TrainingStatus.COMPLETED, status_times={"completed": NOW})
    return json.dumps({"training": ended.to_document(), "results": []}, default=str).encode() + b"\n"


def _lines() -> bytes:
    training = a_training()
    found: dict[Collection, dict[str, object]] = {
        "trainings": training.to_document(),
        "datasets": a_dataset().to_document(),
        "training_results": {"_id": f"{training.id}:1", "training_id": training.id, **a_result(1).to_document()},
    }
    return b"".join(name.encode() + b" " + to_line(name, document) for name, document in found.items())


def backup_of(members: dict[str, bytes]) -> bytes:
    """A backup whose digests are right, whatever its members hold."""
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in members.items()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        archive.writestr("manifest.json", json.dumps({"format": 1, "sha256": digests}))
    return buffer.getvalue()


def _documents(content: bytes, folder: Path) -> None:
    """Each line goes to the collection that its first word names, else to the trainings."""
    members: dict[str, bytes] = {}
    for line in content.splitlines(True):
        word, _, rest = line.partition(b" ")
        name = word.decode("utf-8", "replace")
        known = name if name in COLLECTIONS else "trainings"
        members[f"{known}.jsonl"] = members.get(f"{known}.jsonl", b"") + (rest if name in COLLECTIONS else line)
    _put_back(backup_of(members), folder)


def _put_back(content: bytes, folder: Path) -> None:
    store, artifacts = SqliteStore(None), FolderArtifactStore(folder / "artifacts")
    (folder / "b.zip").write_bytes(content)
    try:
        put_back(store, artifacts, folder / "b.zip", False, lambda report: None)
    except Exception:
        assert not any(next(iter(store.backup.documents(one)), None) for one in COLLECTIONS), "half a backup"
        raise
    finally:
        store.close()


def _pruned(content: bytes, folder: Path) -> None:
    """The lines, packed."""
    _pruned_file(gzip.compress(content, 1), folder)


def _pruned_file(content: bytes, folder: Path) -> None:
    store = SqliteStore(None)
    (folder / "a.jsonl.gz").write_bytes(content)
    try:
        for _ in read_archive(folder / "a.jsonl.gz", again=True):
            pass
        restore(store, folder / "a.jsonl.gz")
    finally:
        store.close()


def _code(content: bytes, folder: Path) -> None:
    """An archive of code: whoever reads it turns these errors into ours (`fetch_code`, `ScriptCheckpoints`)."""
    (folder / "c.tar.gz").write_bytes(content)
    try:
        for _, _, reader in read_members(folder / "c.tar.gz", 100, 1_000_000):
            reader.read(1_000_000)
        unpack(folder / "c.tar.gz", folder / "code", 100, 1_000_000)
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise ArtifactError("code", str(folder), str(error) or type(error).__name__) from error


def _tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in ("a.py", "b/c.py"):
            member = tarfile.TarInfo(name)
            member.size = 5
            archive.addfile(member, io.BytesIO(b"hello"))
    return buffer.getvalue()


TARGETS = (
    Target(
        "backup-documents",
        _documents,
        (_lines(), b'{"_id": "1", "a": {"$date": "2026-01-01T00:00:00+00:00"}}\n'),
        (b'"$date"', b'"$number"', b'"$object"', b'"$text"', b'"_id"'),
    ),
    Target(
        "backup-file",
        _put_back,
        (backup_of({"trainings.jsonl": _lines().splitlines(True)[0].partition(b" ")[2], "artifacts/1/x": b"x"}),),
    ),
    Target("pruned-lines", _pruned, (_training(),), (b'"job"', b'"results"')),
    Target("pruned-file", _pruned_file, (gzip.compress(_training(), mtime=0),)),
    Target("code-archive", _code, (_tar(),)),
)
