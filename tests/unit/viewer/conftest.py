"""The viewer on a filled database, for the tests of its pages and routes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.served import Served, served


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Served]:
    """For tests that change it."""
    with served(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """For tests that only read it."""
    with served(tmp_path_factory.mktemp("seen")) as made:
        yield made
