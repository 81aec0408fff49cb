"""Settings with credentials reach a child by a descriptor, and no further than they must."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from mitorch_service.inherited_settings import (
    VARIABLE,
    close_settings_fd,
    read_settings_fd,
    settings_fd,
    write_settings,
)
from mitorch_service.training.loop.local_processes import local_processes

SETTINGS = {"MITORCH_DB_URI": "mongodb://user:hush@host/ü"}
READS = """
import json, os, sys
from pathlib import Path
text = os.pread(int(os.environ["MITORCH_SETTINGS_FD"]), 9999, 0)
Path(sys.argv[1]).write_bytes(text)
"""


def test_they_can_be_read_again_until_they_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_settings(SETTINGS)
    monkeypatch.setenv(VARIABLE, str(file))
    assert [read_settings_fd(os.environ) for _ in range(2)] == [SETTINGS, SETTINGS]
    close_settings_fd()
    close_settings_fd()  # once is enough
    assert (settings_fd(os.environ), read_settings_fd(os.environ)) == (None, {})
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(file)


def test_the_other_processes_of_a_training_have_them_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(write_settings(SETTINGS)))
    with local_processes(2, [sys.executable, "-S", "-c", READS, str(tmp_path / "read")]):
        pass
    assert "hush" in (tmp_path / "read").read_text()
    close_settings_fd()
