"""PostgreSQL connections, and the cursors that live on them."""

import asyncio
import random
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import asyncpg

T = TypeVar("T")
MAX_CONNECTIONS = 80
CURSOR_IDLE_SECONDS = 120.0
MAX_ATTEMPTS = 200
# mongod retries write conflicts itself; here they are deadlocks and serialization failures. The last
# two are a collection created, or dropped and created again, under the command.
RETRIED_SQLSTATES = {"40P01", "40001", "55P03", "42P07", "42P01"}
UNAVAILABLE = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
)


@dataclass
class Cursor:
    """An open cursor; some can only go on over the connection that opened them."""

    database: str
    continuation: bytes
    connection: Any | None
    used_at: float


class Engine:
    """A pool that grows on demand, since a cursor may keep its connection for long."""

    def __init__(self, socket_dir: str) -> None:
        self._socket_dir = socket_dir
        self._idle: list[Any] = []
        self._places = asyncio.Semaphore(MAX_CONNECTIONS)
        self._losers = asyncio.Lock()
        self.cursors: dict[int, Cursor] = {}

    async def acquire(self) -> Any:
        """A connection of one's own."""
        await self._places.acquire()
        try:
            while self._idle:
                connection = self._idle.pop()
                if not connection.is_closed():
                    return connection
            return await asyncpg.connect(host=self._socket_dir, user="postgres", database="postgres", timeout=10)
        except BaseException:
            self._places.release()
            raise

    def release(self, connection: Any) -> None:
        """Give a connection back, for anyone's use unless it broke under its last user."""
        self._places.release()
        if isinstance(sys.exc_info()[1], UNAVAILABLE):
            connection.terminate()
        elif not connection.is_closed():
            self._idle.append(connection)

    async def row(self, sql: str, *arguments: Any, timeout: float | None = None) -> Any:
        """The only row of a statement, run again when it lost a conflict with others."""
        connection = await self.acquire()
        try:
            return await self._retried(lambda: connection.fetchrow(sql, *arguments, timeout=timeout))
        finally:
            self.release(connection)

    async def value(self, sql: str, *arguments: Any, timeout: float | None = None) -> Any:
        """The only value of a statement."""
        return (await self.row(sql, *arguments, timeout=timeout))[0]

    async def first_page(self, function: str, database: str, spec: bytes, timeout: float | None = None) -> bytes:
        """Open a cursor and return its first page."""
        cursor_id = random.getrandbits(62) + 1
        sql = (
            "SELECT cursorpage::bytea, continuation::bytea, persistconnection"
            f" FROM documentdb_api.{function}_cursor_first_page($1, $2::bytea, $3)"
        )
        connection = await self.acquire()
        kept = False
        try:
            row = await self._retried(lambda: connection.fetchrow(sql, database, spec, cursor_id, timeout=timeout))
            if row[1] is not None:
                kept = bool(row[2])
                self._keep(cursor_id, Cursor(database, row[1], connection if kept else None, 0.0))
            return bytes(row[0])
        finally:
            if not kept:
                self.release(connection)

    async def next_page(self, cursor_id: int, spec: bytes) -> bytes | None:
        """The cursor's next page, None when there is no such cursor."""
        cursor = self.cursors.pop(cursor_id, None)
        if cursor is None:
            return None
        sql = (
            "SELECT cursorpage::bytea, continuation::bytea"
            " FROM documentdb_api.cursor_get_more($1, $2::bytea, $3::bytea)"
        )
        arguments = (sql, cursor.database, spec, cursor.continuation)
        kept = False
        try:
            if cursor.connection is None:
                row = await self.row(*arguments)
            else:
                row = await cursor.connection.fetchrow(*arguments)
            if row[1] is not None:
                kept = True
                self._keep(cursor_id, Cursor(cursor.database, row[1], cursor.connection, 0.0))
            return bytes(row[0])
        finally:
            if not kept and cursor.connection is not None:
                self.release(cursor.connection)

    async def close_cursor(self, cursor_id: int) -> bool:
        """Forget a cursor; False when there is none."""
        cursor = self.cursors.pop(cursor_id, None)
        if cursor is not None and cursor.connection is not None:
            try:
                await cursor.connection.execute("CLOSE ALL")
            finally:
                self.release(cursor.connection)
        return cursor is not None

    async def close_idle_cursors(self) -> None:
        """Run for ever, closing the cursors that clients forgot."""
        while True:
            await asyncio.sleep(5)
            limit = time.monotonic() - CURSOR_IDLE_SECONDS
            for cursor_id in [i for i, cursor in self.cursors.items() if cursor.used_at < limit]:
                try:
                    await self.close_cursor(cursor_id)
                except (*UNAVAILABLE, asyncpg.PostgresError):
                    continue

    async def _retried(self, statement: Callable[[], Awaitable[T]]) -> T:
        """Repeat a statement while it loses conflicts; each is a transaction, so nothing of it stayed."""
        try:
            return await statement()
        except asyncpg.PostgresError as error:
            if error.sqlstate not in RETRIED_SQLSTATES:
                raise
        # Losers go one at a time, lest they keep defeating each other.
        async with self._losers:
            for _ in range(MAX_ATTEMPTS):
                try:
                    return await statement()
                except asyncpg.PostgresError as error:
                    if error.sqlstate not in RETRIED_SQLSTATES:
                        raise
                await asyncio.sleep(random.uniform(0, 0.005))
        return await statement()

    def _keep(self, cursor_id: int, cursor: Cursor) -> None:
        cursor.used_at = time.monotonic()
        self.cursors[cursor_id] = cursor
