"""Creates folders and files that nobody but their owner can read, or a group that MITORCH_SHARED_GROUP names."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

_PRIVATE_FOLDER, _PRIVATE_FILE = 0o700, 0o600
_SHARED_FOLDER, _SHARED_FILE = 0o2770, 0o660  # new files of such a folder belong to its group


@dataclass(frozen=True)
class FileAccess:
    """Who may read and write what is created, whatever the umask: its owner, and the group (an id) if there is one."""

    group: int | None = None

    @classmethod
    def like(cls, folder: Path) -> FileAccess:
        """The access of a folder that `make_folder` has created. Raises OSError."""
        status = folder.stat()
        return cls(status.st_gid if stat.S_IMODE(status.st_mode) == _SHARED_FOLDER else None)

    @property
    def umask(self) -> int:
        """The umask of a process that writes nothing else."""
        return 0o777 & ~(_PRIVATE_FOLDER if self.group is None else _SHARED_FOLDER)

    def make_folder(self, folder: Path) -> None:
        """Creates the folder, and those above it that are missing; one that exists stays as it is. Raises OSError."""
        try:
            folder.mkdir(_PRIVATE_FOLDER)
        except FileNotFoundError:
            if folder.parent.is_dir():  # no folder can be made there, as below /proc
                raise
            self.make_folder(folder.parent)
            if not folder.is_dir():
                folder.mkdir(_PRIVATE_FOLDER, exist_ok=True)  # raises where no folder can be made, as in /proc
            self._share(folder)
        except FileExistsError:
            if not folder.is_dir():
                raise
        else:
            self._share(folder)

    def _share(self, folder: Path) -> None:
        if self.group is not None:
            os.chown(folder, -1, self.group)
        folder.chmod(_PRIVATE_FOLDER if self.group is None else _SHARED_FOLDER)

    def opener(self, path: str, flags: int) -> int:
        """Opens a file for ``open(…, opener=access.opener)``; one that exists keeps its mode."""
        if not flags & os.O_CREAT:
            return os.open(path, flags)
        try:
            file = os.open(path, flags | os.O_EXCL, _PRIVATE_FILE)
        except FileExistsError:
            if flags & os.O_EXCL:
                raise
            return os.open(path, flags, _PRIVATE_FILE)
        try:
            if self.group is not None:
                os.fchown(file, -1, self.group)
            os.fchmod(file, _PRIVATE_FILE if self.group is None else _SHARED_FILE)
        except OSError:
            os.close(file)
            raise
        return file


PRIVATE = FileAccess()
