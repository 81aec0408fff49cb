"""The viewer's application on a filled database, called without a network."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from starlette.testclient import TestClient

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.backends.base import Backend
from mitorch_service.models.status import TrainingStatus
from mitorch_service.settings import Settings, read_settings
from mitorch_service.stores.base import Store
from mitorch_service.stores.verbs.trainings import TrainingFilter
from mitorch_service.viewer.access.gate import Policy
from mitorch_service.viewer.app import create_app
from mitorch_service.viewer.context import Context
from mitorch_service.viewer.serve import listen
from mitorch_service.wiring import open_store
from tests.demo_service import fill
from tests.fakes import FakeBackend

TOKEN = "token-of-the-tests-0123456789"
BEARER = {"authorization": f"Bearer {TOKEN}"}
ADDRESS = "http://127.0.0.1"
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


@dataclass
class Served:
    """An application, the store below it, and what `fill` has put there."""

    app: FastAPI
    settings: Settings
    store: Store
    job: str
    backends: Mapping[str, Backend]
    clock: list[datetime] = field(default_factory=lambda: [NOW])

    def client(self, headers: Mapping[str, str] | None = None, **options: bool) -> TestClient:
        """Somebody who calls it, by default with the token."""
        return TestClient(self.app, base_url=ADDRESS, headers=BEARER if headers is None else headers, **options)  # type: ignore[arg-type]

    def training(self, status: str) -> str:
        """The id of a training that is no trial."""
        rows = self.store.trainings.list_trainings(TrainingFilter(TrainingStatus(status)), 100).items
        return next(row.id for row in rows if row.job_id is None)


@contextmanager
def served(
    folder: Path, trainings: int = 27, trials: int = 8, database: Mapping[str, str] | None = None, **policy: object
) -> Iterator[Served]:
    """Serves a filled database: the one that these variables name, else SQLite in the folder."""
    environment = {"MITORCH_HOME": str(folder / "home"), "HOME": str(folder), "MITORCH_USER": "ada", **(database or {})}
    settings = read_settings(environment)
    settings.home.mkdir(parents=True, exist_ok=True)
    store = open_store(settings, create=True)
    job = fill(store, NOW, trainings, trials)
    backends: dict[str, Backend] = {name: FakeBackend(name) for name in ("gpu-west", "gpu-north")}
    clock = [NOW]
    context = Context(
        settings,
        lambda: open_store(settings, create=True),
        lambda: FolderArtifactStore(settings.home / "artifacts"),
        lambda: backends,
        bool(policy.get("read_only")),
        lambda: clock[0],
        settings.sqlite_path,
    )
    app = create_app(context, Policy(**{"token": TOKEN, **policy}))  # type: ignore[arg-type]
    yield Served(app, settings, store, job, backends, clock)
    context.close()
    store.close()


@contextmanager
def listening(app: FastAPI) -> Iterator[str]:
    """Runs an application on a port of this machine; yields its address."""
    socket = listen("127.0.0.1", None, 8970)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, args=([socket.socket],), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{socket.port}"
    server.should_exit = True
    thread.join(10)
