"""Optuna's own contract of a storage, on both stores."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from optuna.testing.pytest_storages import StorageTestCase

from mitorch_service.optuna_storage.storage import MiTorchStorage
from tests.contracts.conftest import Database


class TestMiTorchStorage(StorageTestCase):
    """Every test of Optuna's suite."""

    @pytest.fixture
    def storage(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[MiTorchStorage]:
        monkeypatch.setenv("MITORCH_DB_NAME", database.name)
        storage = MiTorchStorage(database.where if database.kind == "mongo" else f"sqlite:///{database.where}")
        yield storage
        storage.close()
