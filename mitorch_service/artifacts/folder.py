"""Stores artifacts in a folder, local or on a file system shared by several machines."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.artifacts.partial_files import PART, copy_file, remove_dead_parts
from mitorch_service.errors import ArtifactError, InvalidKey
from mitorch_service.file_access import PRIVATE, FileAccess

_TRIALS = f".doctor-{os.geteuid()}"  # what `check` writes: others may not be allowed to write into this folder
_OLD_SECONDS = 86400.0


class FolderArtifactStore(ArtifactStore):
    """Writes each file next to its target, flushes it to disk, then renames it."""

    def __init__(self, root: Path, access: FileAccess = PRIVATE) -> None:
        self._root = Path(os.path.realpath(root))
        self._access = access
        self._swept: set[str] = set()  # the first parts of keys below which dead partial files were removed

    def put(self, key: str, source: Path) -> str:
        target = self._path(key)
        with self._errors(key):
            self._access.make_folder(target.parent)
            self._sweep(key)
            copy_file(source, target, self._access.opener)
        return str(target)

    def get(self, key: str, target: Path) -> None:
        with self._errors(key):
            copy_file(self._path(key), target)

    def exists(self, key: str) -> bool:
        with self._errors(key):
            return self._path(key).is_file()

    def path_for_runs(self, key: str) -> str:
        return str(self._path(key))

    def keys(self, prefix: str) -> list[str]:
        folder = self._path(prefix)
        with self._errors(prefix):
            files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(PART))
            return sorted(path.relative_to(self._root).as_posix() for path in files)

    def delete(self, prefix: str) -> int:
        folder = self._path(prefix)
        with self._errors(prefix):
            if not folder.is_dir():
                return 0
            count = sum(1 for path in folder.rglob("*") if path.is_file())
            shutil.rmtree(folder)
            return count

    def check(self) -> str:
        key = f"{_TRIALS}/{uuid.uuid4().hex}"  # several may check at the same time
        missing = [folder for folder in (self._root, *self._root.parents) if not folder.exists()]
        with self._errors("doctor"), tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "doctor.txt")
            source.write_text("written by mitorch doctor\n")
            try:
                self.put(key, source)
                self.get(key, Path(folder, "back.txt"))
            finally:
                self._path(key).unlink(missing_ok=True)
                _remove_old(self._root / _TRIALS)
                if missing:
                    _remove_empty([self._root / _TRIALS, *missing])
        return str(self._root)

    def _sweep(self, key: str) -> None:
        """Removes what killed processes have left among the files of the same training, once."""
        first = key.partition("/")[0]
        if first not in self._swept:
            self._swept.add(first)
            remove_dead_parts(self._root / first)

    def _path(self, key: str) -> Path:
        path = Path(os.path.normpath(self._root / key))
        if path == self._root or self._root not in path.parents:
            raise InvalidKey(key, str(self._root), "the key leads out of the store")
        if "\0" in key:
            raise InvalidKey(repr(key), str(self._root), "no file can have this name. Rename it")
        for part in (path, *path.parents) if self._access.group is not None else ():
            if part == self._root:
                break
            if _is_foreign_link(part):
                remedy = "remove it, or have its owner copy the files"
                raise ArtifactError(key, str(self._root), f"{part} is a link of another user: {remedy}")
        return path

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ArtifactError(key, str(self._root), error.strerror or str(error)) from error


def _is_foreign_link(path: Path) -> bool:
    """Whether a member of the group has made it a link, which may lead to files of this user."""
    try:
        status = path.lstat()
    except OSError:
        return False  # not there: whoever writes it finds out
    return stat.S_ISLNK(status.st_mode) and status.st_uid not in (0, os.geteuid())


def _remove_old(folder: Path) -> None:
    """Removes the files of checks that were killed long ago. Errors are left to the next."""
    for path in folder.glob("*"):
        with suppress(OSError):
            if path.stat().st_mtime < time.time() - _OLD_SECONDS:
                path.unlink()


def _remove_empty(folders: Iterable[Path]) -> None:
    """Removes folders, the innermost first, up to one that holds something."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()
