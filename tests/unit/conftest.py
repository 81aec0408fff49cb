"""Fixtures of the unit tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mitorch_service.stores.base import Store
from mitorch_service.stores.sqlite.store import SqliteStore


@pytest.fixture
def store() -> Iterator[Store]:
    """An empty database in memory."""
    store = SqliteStore(None)
    yield store
    store.close()
