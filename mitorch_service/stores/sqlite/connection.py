"""The connection to a SQLite database: its transactions, its waiting, its errors."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from mitorch_service.errors import QueryTimedOut, StoreError, StoreUnavailable
from mitorch_service.file_access import FileAccess
from mitorch_service.stores.sqlite.files import Opened, Refusal, SqliteFiles, State, connect
from mitorch_service.stores.sqlite.schema import VERSION, statements

Result = TypeVar("Result")

_BUSY_SECONDS = 60.0  # how long a writer waits for the others; each holds the file for a millisecond or so
_STEPS = 4000  # of SQLite's machine between two looks at the clock: about 50 µs
_FOREIGN_SECONDS = 1.0  # how long one waits for what another user's command does with the files beside the database


class _Limit(threading.local):
    """The limit of time of one thread's reads."""

    seconds: float | None = None
    end: float | None = None  # by the monotonic clock


class SqliteConnection:
    """WAL journal, `BEGIN IMMEDIATE` around every write, `synchronous=NORMAL`: what was written survives the death of
    any process at once, and a power cut except for the last moments before it. Whoever may only read the file reads it,
    and hinders nobody."""

    db: sqlite3.Connection
    _opened: Opened

    def __init__(self, path: Path | None, access: FileAccess, created_late: bool = False) -> None:
        """Opens the file at `path`, which is created with this access if it is missing; None: in memory. With
        `created_late` only the first write creates it, and until then it reads as empty."""
        self.where = "in memory" if path is None else str(path)
        self._files = None if path is None else SqliteFiles(path, access)
        self.lock = threading.RLock()  # one connection, used by the run's reporting thread too
        self._limit = _Limit()
        self._missing = path if created_late and path is not None and not path.exists() else None
        self._connect()

    def close(self) -> None:
        with self.lock:  # to close it while another thread reads would crash the process
            self.db.close()

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Returns all rows. Raises sqlite3.Error: see `errors`."""
        with self.lock:
            if self._missing is not None and self._missing.exists():
                self._connect_to_file()
            end = None
            while True:
                before = self._opened.unlocked
                try:
                    rows = self._patiently(lambda: self._execute(sql, values))
                except sqlite3.DatabaseError as error:  # half of it may have been of an earlier state
                    end = end or time.monotonic() + _FOREIGN_SECONDS
                    if not self._is_passing(error, before, end):
                        raise
                    time.sleep(0.01)
                else:
                    if before is None or before == self._state():
                        return rows
                self._reconnect()

    def script(self, sql: str) -> None:
        """Executes a statement to its end: `rows` stops at a row without columns, and an incremental vacuum, whose rows
        have none, would free one page only. Raises sqlite3.Error: see `errors`."""
        with self.lock:
            self._patiently(lambda: self.db.executescript(sql))

    @contextmanager
    def time_limit(self, seconds: float) -> Iterator[None]:
        """Ends the reads of this thread at a time, by SQLITE_INTERRUPT."""
        before = self._limit.seconds, self._limit.end
        self._limit.seconds, self._limit.end = seconds, time.monotonic() + seconds
        try:
            yield
        finally:
            self._limit.seconds, self._limit.end = before

    def _execute(self, sql: str, values: Sequence[Any]) -> list[Any]:
        if (end := self._limit.end) is None:
            return self.db.execute(sql, tuple(values)).fetchall()
        self.db.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
        try:
            return self.db.execute(sql, tuple(values)).fetchall()
        finally:
            self.db.set_progress_handler(None, 0)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Writes all that is executed meanwhile, or nothing."""
        with self.lock:
            if self._missing is not None:
                self._connect_to_file()
            with self._transaction():
                yield

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self.lock, self.errors():
            self._begin()
            try:
                yield
                self.db.execute("COMMIT")
            except BaseException:
                if self.db.in_transaction:  # SQLite has rolled back by itself after some errors
                    self.db.execute("ROLLBACK")
                raise

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turns the driver's errors into ours."""
        try:
            yield
        except OSError as error:
            raise StoreUnavailable(
                self.where, f"cannot be opened ({error.strerror})", "Check MITORCH_HOME or MITORCH_DB_URI."
            ) from error
        except sqlite3.OperationalError as error:
            if _code(error) == sqlite3.SQLITE_INTERRUPT and self._limit.seconds is not None:
                raise QueryTimedOut(self.where, self._limit.seconds) from error
            refusal = self._refusal()
            if refusal is not None and _code(error) in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
                raise refusal.error(self.where) from error
            raise StoreUnavailable(
                self.where, str(error), "Check that the folder exists, is writable and has space left."
            ) from error
        except (sqlite3.Error, sqlite3.Warning, OverflowError) as error:
            raise StoreError(
                self.where, str(error), "Name another file in MITORCH_DB_URI, or move this one away."
            ) from error

    def _connect_to_file(self) -> None:
        """Creates the file that was missing, unless another process has. Stays as it is if that fails."""
        missing, empty, opened = self._missing, self.db, self._opened
        self._missing = None
        try:
            self._connect()
        except BaseException:
            self._missing, self.db, self._opened = missing, empty, opened
            raise
        empty.close()

    def _connect(self) -> None:
        in_memory = self._files is None or self._missing is not None
        with self.errors():
            self._opened = Opened(connect(":memory:")) if in_memory or self._files is None else self._files.connect()
            self.db = self._opened.connection
        try:
            self._open()
        except BaseException:
            self.db.close()
            raise
        if self._files is not None and not in_memory:
            self._files.share()

    def _reconnect(self) -> None:
        self.db.close()
        self._connect()

    def _open(self) -> None:
        with self.errors():
            version = self.rows("PRAGMA user_version")[0][0]
            if version > VERSION:
                raise StoreError(
                    self.where, f"was written by a newer version (schema {version})", "Upgrade mitorch-service."
                )
            if self._opened.refusal is not None:
                if version < VERSION:
                    raise self._opened.refusal.error(f"{self.where} (of an earlier version, schema {version})")
                return
            if version == 0:  # takes effect only before the first page is written
                self.rows("PRAGMA auto_vacuum = INCREMENTAL")
            self.rows("PRAGMA journal_mode = WAL")
            self.rows("PRAGMA synchronous = NORMAL")
        if version < VERSION:
            with self._transaction():
                version = self.rows("PRAGMA user_version")[0][0]  # another process may have been faster
                for statement in statements(version):
                    self.db.execute(statement)
                self.db.execute(f"PRAGMA user_version = {VERSION}")

    def _patiently(self, step: Callable[[], Result]) -> Result:
        """Repeats a step while another process writes. SQLite's own waiting sleeps up to 100 ms at a time, and whoever
        has waited longest sleeps longest. Also if a file cannot be opened: a reader may have removed the one that was
        made for him."""
        begin = time.monotonic()
        while True:
            try:
                return step()
            except sqlite3.OperationalError as error:
                unopened = self._opened.refusal is None and _code(error) == sqlite3.SQLITE_CANTOPEN
                patience = _BUSY_SECONDS if "locked" in str(error) else _FOREIGN_SECONDS if unopened else 0.0
                if time.monotonic() > begin + patience:
                    raise
                time.sleep(random.uniform(0.0005, 0.004))

    def _is_passing(self, error: sqlite3.DatabaseError, before: State | None, end: float) -> bool:
        """Whether a reader's error may be of what the owner of the files does at the same time."""
        if before is not None:
            return before != self._state()
        passing = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)
        return self._opened.refusal is not None and _code(error) in passing and time.monotonic() < end

    def _begin(self) -> None:
        """Begins a transaction, once no command of another user holds the files beside the database."""
        end = time.monotonic() + _FOREIGN_SECONDS
        while not self._has_begun(last=time.monotonic() > end):
            refusal = self._refusal()
            if refusal is not None and (not refusal.passing or time.monotonic() > end):
                raise refusal.error(self.where)
            time.sleep(0.02)
            self._reconnect()

    def _has_begun(self, last: bool) -> bool:
        if self._opened.refusal is not None and not last:
            return False  # SQLite would begin to read, and refuse the first write
        try:
            self._patiently(lambda: self.db.execute("BEGIN IMMEDIATE"))
        except sqlite3.OperationalError as error:
            if last or _code(error) != sqlite3.SQLITE_READONLY:
                raise
            return False
        return True

    def _refusal(self) -> Refusal | None:
        return None if self._files is None else self._files.refusal()

    def _state(self) -> State | None:
        return None if self._files is None else self._files.state()


def _code(error: sqlite3.Error) -> int:
    """The primary result code; SQLite adds further bits to it."""
    return error.sqlite_errorcode & 0xFF
