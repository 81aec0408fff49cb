"""Plugins get their arguments as VoTT-train gives them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mitorch_service.interop.vott.run_plugin import VARIABLE, arguments, main


def test_every_key_but_the_plugins_name_is_an_argument() -> None:
    message = {"plugin_name": "a", "plugin": "a", "status": "https://h/s?sig=x", "epochs": 5, "list": [1], "none": None}
    assert arguments(message) == ["--status", "https://h/s?sig=x", "--epochs", "5", "--list", "[1]"]


@pytest.fixture
def message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, json.dumps({"epochs": 5}))
    monkeypatch.setattr(sys, "argv", ["before"])
    monkeypatch.setattr(sys, "path", list(sys.path))


def test_a_program_runs_as_main_beside_its_modules(
    tmp_path: Path, message: None, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "vott_neighbour.py").write_text("NAME = 'beside'\n")
    text = "import os, sys, vott_neighbour as one\n"
    text += f"print(__name__, one.NAME, sys.argv[1:], '{VARIABLE}' in os.environ)\n"
    (tmp_path / "plugin.py").write_text(text)
    main([str(tmp_path / "plugin.py")])
    assert capsys.readouterr().out == "__main__ beside ['--epochs', '5'] False\n"


def test_a_function_of_an_installed_package(message: None, monkeypatch: pytest.MonkeyPatch) -> None:
    point = SimpleNamespace(load=lambda: lambda: f"exit with {sys.argv}")
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group, name: (point,))
    with pytest.raises(SystemExit, match=r"exit with \['theirs', '--epochs', '5'\]"):
        main(["--installed", "theirs"])
