"""`micontrol run` while the database is away."""

from __future__ import annotations

from pathlib import Path

import pytest

from mitorch_service.cli.control_commands import control_run
from mitorch_service.errors import StoreError, StoreUnavailable
from mitorch_service.settings import Settings
from mitorch_service.stores.base import Store
from mitorch_service.stores.sqlite.store import SqliteStore
from tests.fakes import HookedStore


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MITORCH_HOME", str(tmp_path))


def test_a_database_that_is_away_at_the_start_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failures = {"open": 2, "find": 2}

    def fail(operation: str) -> None:
        failures[operation] = failures.get(operation, 0) - 1
        if failures[operation] >= 0:
            raise StoreUnavailable("at db", "cannot be reached", "Start it.")

    def open_store(settings: Settings, create: bool) -> Store:
        fail("open")
        return HookedStore(SqliteStore(None), fail)

    monkeypatch.setattr(control_run, "open_store", open_store)
    control_run.run_passes(0.01, until_idle=True)
    shown = capsys.readouterr()
    assert (shown.out + shown.err).count("cannot be reached") == 4
    assert failures["open"] < 0 and failures["find"] < 0


def test_a_mistake_in_the_settings_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def open_store(settings: Settings, create: bool) -> Store:
        raise StoreError("at db", "no such option", "Correct MITORCH_DB_URI.")

    monkeypatch.setattr(control_run, "open_store", open_store)
    with pytest.raises(StoreError, match="no such option"):
        control_run.run_passes(0.01, until_idle=True)
