"""Fixtures of the tests of runs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import matplotlib.pyplot  # noqa: F401  # reads what a Figure has, before there is none
import pytest

from tests.quick_pictures import BlankFigure
from tests.unit.runs.machine import Machine


@pytest.fixture(autouse=True)
def _quick_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matplotlib.figure.Figure", BlankFigure)


@pytest.fixture
def machine(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Machine]:
    caplog.set_level(logging.INFO, logger="mitorch")  # as the command does
    machine = Machine(tmp_path)
    yield machine
    machine.store.close()
