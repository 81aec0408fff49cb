"""All that the pages and the API stand on, opened once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeVar, cast

from fastapi import Depends, Request

from mitorch_service.artifacts.base import ArtifactStore
from mitorch_service.backends.base import Backend
from mitorch_service.settings import Settings
from mitorch_service.stores.base import Store

Made = TypeVar("Made")
QUERY_SECONDS = 2.0  # of the database for one request


@dataclass
class Context:
    """The means of a request. A store of SQLite has one connection: each thread gets its own, so that a long query
    holds up nobody else."""

    settings: Settings
    open_store: Callable[[], Store]
    open_artifacts: Callable[[], ArtifactStore]
    open_backends: Callable[[], Mapping[str, Backend]]
    read_only: bool = False
    given_clock: Callable[[], datetime] | None = None
    file: Path | None = None  # of SQLite; None: one store serves all threads, as MongoDB's client does
    _local: threading.local = field(default_factory=threading.local)
    _shared: Store | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _made: dict[str, object] = field(default_factory=dict)

    def clock(self) -> datetime:
        """Returns the time by the database's clock, as the commands and the controller take it, once the database is
        open. Never raises."""
        if self.given_clock is not None:
            return self.given_clock()
        shared = self._shared
        return datetime.now(UTC) if shared is None else shared.now()  # SQLite's clock is this machine's

    @property
    def backends(self) -> Mapping[str, Backend]:
        """The backends of all clusters, opened once; they may be called from several threads."""
        return self.once("backends", self.open_backends)

    @property
    def artifacts(self) -> ArtifactStore:
        """The artifact store, opened once. Raises MissingExtra, SettingsError."""
        return self.once("artifacts", self.open_artifacts)

    def once(self, name: str, make: Callable[[], Made]) -> Made:
        """Makes something at its first use; later the same is returned."""
        with self._lock:
            if name not in self._made:
                self._made[name] = make()
            return cast(Made, self._made[name])

    @property
    def store(self) -> Store:
        """The store of this thread. Raises StoreUnavailable, StoreError."""
        if self.file is not None and not self.file.exists():
            return self.open_store()  # one that the first submission creates
        if self.file is None:
            with self._lock:
                self._shared = self._shared or self.open_store()
                return self._shared
        store: Store | None = getattr(self._local, "store", None)
        if store is None:
            store = self._local.store = self.open_store()
        return store

    def close(self) -> None:
        """Closes the store that all threads share; those of threads are closed with them."""
        with self._lock:
            if self._shared is not None:
                self._shared.close()
                self._shared = None

    @contextmanager
    def apart(self) -> Iterator[Store]:
        """A store for a thread of the background, which ends soon: its connection is closed at the end."""
        if self.file is None or not self.file.exists():
            yield self.store
            return
        store = self.open_store()
        try:
            yield store
        finally:
            store.close()

    @contextmanager
    def reading(self, seconds: float | None = None) -> Iterator[Store]:
        """The store, for reads that end after so many seconds; None: QUERY_SECONDS. Raises QueryTimedOut."""
        with self.store.time_limit(QUERY_SECONDS if seconds is None else seconds):
            yield self.store


def _context(request: Request) -> Context:
    return cast(Context, request.app.state.context)


Given = Annotated[Context, Depends(_context)]  # the parameter of a route
