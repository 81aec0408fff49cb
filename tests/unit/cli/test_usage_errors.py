"""Errors of usage leave by the same door as all others."""

from __future__ import annotations

import pytest

from mitorch_service.cli.main import call, load


@pytest.mark.parametrize("debug", [[], ["--debug"]])
def test_a_secret_in_an_argument_is_masked(capsys: pytest.CaptureFixture[str], debug: list[str]) -> None:
    arguments = ["mlflow", "https://account.blob.core.windows.net/c?sp=r&sig=D4ta%2BSet", "\x1b]0;x", *debug]
    assert call(load("import"), "mitorch import", arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("Usage: mitorch import")
    assert "D4ta" not in shown.err
    assert "\x1b" not in shown.err


def test_a_path_with_a_secret_is_masked(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(load("import"), "mitorch import", ["mlflow", "https://a.net/c?sp=r&sig=D4ta%2BSet"]) == 2
    assert "https://a.net/c?sp=r&sig=***' does not exist" in capsys.readouterr().err
