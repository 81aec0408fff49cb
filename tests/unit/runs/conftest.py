"""Fixtures of the tests of runs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.quick_pictures import write_pixel
from tests.unit.runs.machine import Machine


@pytest.fixture(autouse=True)
def _quick_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", write_pixel)


@pytest.fixture
def machine(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Machine]:
    caplog.set_level(logging.INFO, logger="mitorch")  # as the command does
    machine = Machine(tmp_path)
    yield machine
    machine.store.close()
