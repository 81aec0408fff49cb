"""Times that are stored are those of the database's clock, through whichever door they come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import optuna
import pytest

from mitorch_service import wiring
from mitorch_service.client.client import Client
from mitorch_service.client.local import LocalConnection
from mitorch_service.optuna_storage.storage import MiTorchStorage
from mitorch_service.settings import read_settings
from mitorch_service.stores.base import Store
from mitorch_service.stores.sqlite.store import SqliteStore
from mitorch_service.stores.verbs.trainings import TrainingFilter
from mitorch_service.viewer.api.changes import means_of
from mitorch_service.viewer.context import Context
from tests.samples import a_dataset

AHEAD = timedelta(hours=5)
CONFIG = {"model": {"name": "resnet18"}, "dataset": "parts", "max_epochs": 2}


class AheadStore(SqliteStore):
    """A database whose server's clock is ahead of this machine's."""

    def now(self) -> datetime:
        return datetime.now(UTC) + AHEAD


def is_its(time: datetime) -> bool:
    return abs(time - datetime.now(UTC) - AHEAD) < timedelta(minutes=10)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return AheadStore(tmp_path / "mitorch.db")


def test_the_client_submits_and_cancels_by_it(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiring, "open_store", lambda settings, create=False: store)
    settings = read_settings({"MITORCH_HOME": str(tmp_path), "HOME": str(tmp_path)})
    store.datasets.add_dataset(a_dataset("parts"))
    client = Client.over(LocalConnection(settings))
    id = client.submit(CONFIG).id or ""
    client.cancel(id)
    row = store.trainings.get_row(id)
    assert is_its(row.created_at) and is_its(row.status_times["canceled"])


def test_the_viewer_takes_it_as_soon_as_the_database_is_open(store: Store, tmp_path: Path) -> None:
    settings = read_settings({"MITORCH_HOME": str(tmp_path), "HOME": str(tmp_path)})
    context = Context(settings, lambda: store, lambda: pytest.fail("not needed"), dict)
    assert not is_its(context.clock())  # as on a page that says that the database does not answer
    assert is_its(means_of(context).clock()) and is_its(context.clock())


def test_studies_of_optuna_are_timed_by_it(store: Store) -> None:
    study = optuna.create_study(storage=MiTorchStorage(store))
    study.tell(study.ask(), 1.0)
    assert [is_its(row.created_at) for row in store.trainings.list_trainings(TrainingFilter(), 2).items] == [True]
