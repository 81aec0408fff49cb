"""A storage that a cloud's nodes cannot reach is told at submission."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from click.testing import CliRunner

from mitorch_service.cli import submit
from mitorch_service.settings import read_settings
from mitorch_service.submission.sas_expiry import warn_of_storage
from tests.samples import NOW

FIVE = {  # docs/mitorch.md; the database is of no matter here
    "MITORCH_AZURE_SUBSCRIPTION_ID": "33333333-3333-3333-3333-333333333333",
    "MITORCH_AML_WORKSPACE": "vision",
    "MITORCH_AML_COMPUTE": "gpu-low",
    "MITORCH_AML_AUTH": "22222222-2222-2222-2222-222222222222:PASSWORD",
}


def test_models_of_cloud_runs_that_would_be_lost_are_told(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in {**FIVE, "MITORCH_HOME": str(tmp_path), "MITORCH_STORAGE_URL": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    with caplog.at_level(logging.WARNING, "mitorch"):
        CliRunner().invoke(submit.command, ["-"], input="{}")
    assert "runs on gpu-low keep there is lost with their nodes" in caplog.text
    assert "Set MITORCH_STORAGE_URL to a blob container" in caplog.text


@pytest.mark.parametrize(
    "settings", [{}, FIVE, {**FIVE, "MITORCH_STORAGE_URL": "https://acct.blob.core.windows.net/files"}]
)
def test_nothing_is_told_where_models_are_kept(caplog: pytest.LogCaptureFixture, settings: dict[str, str]) -> None:
    warn_of_storage(read_settings(settings), NOW)
    assert caplog.text == ""
