"""Fixtures of the simulations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mitorch_service.stores.base import Store
from tests.contracts.conftest import Database, database_for


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """SQLite, unless the test names another: what a search decides does not depend on it (see `tests/contracts`)."""
    with database_for(request, tmp_path) as database:
        yield database


@pytest.fixture
def store(database: Database) -> Iterator[Store]:
    """A prepared store."""
    store = database.open()
    store.prepare()
    yield store
    store.close()
