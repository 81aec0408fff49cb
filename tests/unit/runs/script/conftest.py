"""Fixtures of the tests of scripts."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.runs.script.machine import Machine


@pytest.fixture
def machine(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Machine]:
    caplog.set_level(logging.INFO, logger="mitorch")  # as the command does
    machine = Machine(tmp_path)
    yield machine
    machine.store.close()
