"""The packages beside a script's code, against what importlib.metadata says of them."""

from __future__ import annotations

import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest

from mitorch_service.runs.script.code_record import installed_packages


def test_they_are_those_that_the_library_finds() -> None:
    found = {f"{one.metadata['Name']}=={one.version}" for one in distributions() if one.metadata["Name"]}
    assert set(installed_packages()) == found
    assert len(found) > 20


def test_older_and_damaged_descriptions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, file, text in (
        (
            "new-2.0.dist-info",
            "METADATA",
            "Metadata-Version: 2.1\nname:  new.one \nVersion: 2.0\n\nVersion: 9\nName: text\n",
        ),
        ("egg.egg-info", "PKG-INFO", "Metadata-Version: 1.0\r\nName: egg\r\nVersion: 1\r\n\r\nName: text\r\n"),
        ("nameless.dist-info", "METADATA", "Metadata-Version: 2.1\nVersion: 1\n"),
        ("versionless.dist-info", "METADATA", "Metadata-Version: 2.1\nName: x\n"),
        ("empty.dist-info", "METADATA", ""),
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / file).write_bytes(text.encode())
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert installed_packages() == ["egg==1", "new.one==2.0"]
