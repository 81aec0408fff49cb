"""Opens the file of a SQLite database as its owner, its group or anybody else may.

SQLite keeps two files beside the database while anybody has it open. Whoever makes them owns them: a reader who may not
write the database would leave files in which its owner cannot write. So such a reader makes none. See
https://sqlite.org/wal.html#read_only_databases and https://sqlite.org/uri.html.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mitorch_service.errors import AccessRefused, StoreError, StoreUnavailable
from mitorch_service.file_access import FileAccess

_READ_SECONDS = 1.0  # how long a reader tries to open what another user opens, writes and closes at the same time
_TICK = 20_000_000  # ns; two changes of a file within one tick of the system's clock (up to 10 ms) bear the same time
_DENIALS, _DENIAL_SECONDS = 3, 0.01  # in a row, and the pause between two
_SHARING = (
    "To share it, its owner runs chgrp TEAM and chmod 2770 on the folder, chgrp TEAM and chmod 660 on the file, and "
    "all set MITORCH_SHARED_GROUP. Or use MongoDB."
)


@dataclass(frozen=True)
class State:
    """The state of the files at one moment. While it stays the same nobody has written the database file."""

    inode: int
    size: int
    written: int  # in ns
    wal: int | None  # the size of the file -wal, None if there is none
    shared_memory: bool  # whether there is a file -shm


@dataclass(frozen=True)
class Refusal:
    """The reason why this user cannot write the database now."""

    problem: str
    remedy: str
    passing: bool  # whether it ends with another user's command

    def error(self, where: str) -> StoreError:
        """The error for a write."""
        kind = StoreUnavailable if self.passing else AccessRefused
        return kind(where, self.problem, self.remedy)


@dataclass(frozen=True)
class Opened:
    """A connection to the database."""

    connection: sqlite3.Connection
    refusal: Refusal | None = None  # why it only reads
    unlocked: State | None = None  # if it reads without a lock: right only while the files stay in this state


class SqliteFiles:
    """The file of a database and those that SQLite keeps beside it."""

    def __init__(self, path: Path, access: FileAccess) -> None:
        """`access`: of what is created."""
        self._path = path
        self._access = access
        self._beside = tuple(path.with_name(path.name + ending) for ending in ("-wal", "-shm"))

    def connect(self) -> Opened:
        """Opens the database, to read only where this user may not write; makes file and folder if they are missing.
        Raises OSError, sqlite3.Error, StoreError."""
        if not self._path.exists():
            self._access.make_folder(self._path.parent)
            with open(self._path, "ab", opener=self._access.opener):  # SQLite gives its mode to the files beside it
                pass
        elif (refusal := self.refusal()) is not None:
            return self._connect_to_read(refusal)
        return Opened(connect(self._path))

    def state(self) -> State:
        """Returns the state now. Raises OSError."""
        found = self._path.stat()
        wal, memory = self._beside
        try:
            size = wal.stat().st_size
        except FileNotFoundError:
            size = None
        return State(found.st_ino, found.st_size, found.st_mtime_ns, size, _there(memory))

    def refusal(self) -> Refusal | None:
        """Returns why this user cannot write, or None."""
        if not os.access(self._path, os.W_OK):
            return Refusal(f"cannot be written by you: {_described(self._path)}", _SHARING, passing=False)
        foreign = [file for file in self._beside if _denied(file, os.W_OK)]
        if foreign:
            name = foreign[0].name
            try:
                whose = _described(foreign[0])
            except FileNotFoundError:  # its owner has just removed it
                return self.refusal()
            problem = f"is held by a command of another user, or one was killed: {whose}"
            remedy = f"Try again when that has ended; if nobody uses the database, its owner removes {name}. {_SHARING}"
            return Refusal(problem, remedy, passing=True)
        folder = self._path.parent
        if not os.access(folder, os.W_OK) and not all(map(_there, self._beside)):
            problem = f"cannot be written by you: SQLite needs to make files beside it, and {_described(folder)}"
            return Refusal(problem, _SHARING, passing=False)
        return None

    def share(self) -> None:
        """Gives the files beside the database to its group, so that whoever may write one may write all. SQLite has
        given them its mode already."""
        with suppress(OSError):  # without the right to do so, mode and folder decide
            group = self._path.stat().st_gid
            for file in self._beside:
                found = file.stat()
                if found.st_uid == os.geteuid() and found.st_gid != group:
                    os.chown(file, -1, group)

    def _connect_to_read(self, refusal: Refusal) -> Opened:
        end = time.monotonic() + _READ_SECONDS
        while True:
            last = time.monotonic() > end
            self._remove_own()
            state = self.state()
            # Whoever has it open has made the file -wal; an empty one without the other is a leftover.
            alone = state.wal is None or (state.wal == 0 and not state.shared_memory)
            if not alone or last or _settled(state):
                try:
                    connection = self._opened("immutable=1" if alone else "readonly_shm=1")
                except sqlite3.DatabaseError as error:  # also "malformed", of a file that is being written
                    self._remove_own()
                    self._check_rights(error)
                    if last and isinstance(error, sqlite3.OperationalError):
                        raise self._not_closed() from error
                    if last:
                        raise
                else:
                    if not self._remove_own():
                        return Opened(connection, refusal, state if alone else None)
                    connection.close()  # what it reads is no longer what others write
                    if last:
                        raise self._not_closed()
            time.sleep(0.01)

    def _opened(self, how: str) -> sqlite3.Connection:
        db = connect(f"{self._path.absolute().as_uri()}?mode=ro&{how}", uri=True)
        try:
            db.execute("SELECT count(*) FROM sqlite_schema").fetchall()  # only now it opens the files
        except BaseException:
            db.close()
            raise
        return db

    def _remove_own(self) -> bool:
        """Removes a file -wal that SQLite has made for a reader of this user, when the owner removed his a moment
        earlier: the owner could not write into it. Returns whether it did; leaves one that another user may write into,
        if anybody has the database open, and root's, who may write into any."""
        wal, memory = self._beside
        with suppress(OSError):
            found = wal.stat()
            if found.st_uid != os.geteuid() or found.st_size > 0 or _owner_id(self._path) == 0:
                return False
            shared = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
            if _there(memory) and (shared or _owner_id(memory) in (0, os.geteuid())):
                return False
            wal.unlink()
            return True
        return False

    def _check_rights(self, error: sqlite3.Error) -> None:
        """Raises StoreError if this user may not read one of the files."""
        for file in (self._path, *self._beside):
            if _denied(file, os.R_OK):
                with suppress(FileNotFoundError):  # its owner has just removed it
                    raise StoreError(str(self._path), f"cannot be read by you: {_described(file)}", _SHARING) from error

    def _not_closed(self) -> StoreError:
        problem = f"was not closed by its last user, and you may only read it: {_described(self._path)}"
        return StoreError(str(self._path), problem, f"Let {_owner(self._path)} run miquery once. {_SHARING}")


def connect(database: str | Path, uri: bool = False) -> sqlite3.Connection:
    """Opens a connection whose transactions and waits are the caller's, and which threads may share."""
    return sqlite3.connect(database, timeout=0, isolation_level=None, check_same_thread=False, uri=uri)


def _denied(file: Path, mode: int) -> bool:
    """Whether the file is there and this user may not use it so (`os.R_OK`, `os.W_OK`). Asked several times, as a file
    that its owner has just removed, and makes anew at once, is missing for a moment, which looks the same."""
    for _ in range(_DENIALS):
        if not _there(file) or os.access(file, mode):
            return False
        time.sleep(_DENIAL_SECONDS)
    return True


def _there(file: Path) -> bool:
    return os.path.lexists(file)


def _owner_id(file: Path) -> int | None:
    """None if it is not there."""
    with suppress(OSError):
        return file.stat().st_uid
    return None


def _settled(state: State) -> bool:
    """Whether the next change of the file will be seen by its time."""
    return not 0 <= time.time_ns() - state.written <= _TICK


def _described(file: Path) -> str:
    """Names a file, whose it is, and who may do what: ``m.db belongs to ann:team, mode 0644``."""
    if os.statvfs(file).f_flag & os.ST_RDONLY:
        return f"{file} is on a read-only file system"
    mode = stat.S_IMODE(file.stat().st_mode)
    return f"{file} belongs to {_owner(file)}:{_group(file)}, mode {mode:04o}"


def _owner(file: Path) -> str:
    try:
        return file.owner()
    except KeyError:  # a number without a name
        return str(file.stat().st_uid)


def _group(file: Path) -> str:
    try:
        return file.group()
    except KeyError:
        return str(file.stat().st_gid)
