"""The viewer's application on a filled database, called without a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from fastapi import FastAPI
from starlette.testclient import TestClient

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.backends.base import Backend
from mitorch_service.settings import Settings, read_settings
from mitorch_service.stores.base import Store
from mitorch_service.stores.sqlite.store import SqliteStore
from mitorch_service.viewer.access.gate import Policy
from mitorch_service.viewer.app import create_app
from mitorch_service.viewer.context import Context
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
        rows = self.store.trainings.list_trainings(_filter(status), 100).items
        return next(row.id for row in rows if row.job_id is None)


@contextmanager
def served(folder: Path, trainings: int = 27, trials: int = 8, **policy: object) -> Iterator[Served]:
    """Serves a filled SQLite database in the folder."""
    settings = read_settings({"MITORCH_HOME": str(folder / "home"), "HOME": str(folder), "MITORCH_USER": "ada"})
    settings.home.mkdir(parents=True, exist_ok=True)
    file = settings.home / "mitorch.db"
    store = SqliteStore(file)
    job = fill(store, NOW, trainings, trials)
    backends: dict[str, Backend] = {name: FakeBackend(name) for name in ("gpu-west", "gpu-north")}
    clock = [NOW]
    context = Context(
        settings,
        lambda: SqliteStore(file),
        lambda: FolderArtifactStore(settings.home / "artifacts"),
        lambda: backends,
        bool(policy.get("read_only")),
        lambda: clock[0],
        file,
    )
    app = create_app(context, Policy(**{"token": TOKEN, **policy}))  # type: ignore[arg-type]
    yield Served(app, settings, store, job, backends, clock)
    store.close()


def _filter(status: str):  # type: ignore[no-untyped-def]
    from mitorch_service.models.status import TrainingStatus
    from mitorch_service.stores.trainings import TrainingFilter

    return TrainingFilter(TrainingStatus(status))
