"""SAS tokens that end too early are told at submission."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from mitorch_service.cli import submit
from mitorch_service.settings import read_settings
from mitorch_service.submission.sas_expiry import warn_of_storage
from tests.samples import NOW

URL = "https://acct.blob.core.windows.net/files?sp=racwdl&se={end}&sig=s3cret"
CONNECTION = "BlobEndpoint=https://acct.blob.core.windows.net;SharedAccessSignature=se={end}&sig=s3cret;Container=files"


@pytest.mark.parametrize("form", [URL, CONNECTION])
@pytest.mark.parametrize(("days", "word"), [(-1, "expired on 2026-11-19"), (3, "ends on 2026-11-23"), (30, None)])
def test_a_token_of_the_storage_that_ends_soon_is_told(
    caplog: pytest.LogCaptureFixture, form: str, days: int, word: str | None
) -> None:
    end = (NOW + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
    with caplog.at_level(logging.WARNING, "mitorch"):
        warn_of_storage(read_settings({"MITORCH_STORAGE_URL": form.format(end=end)}), NOW)
    assert (word or "") in caplog.text
    assert bool(caplog.text) == bool(word)
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize(
    "setting",
    [
        "/home/me/.mitorch/artifacts",
        "https://acct.blob.core.windows.net/files",
        "AccountName=a;AccountKey=k;Container=c",
    ],
)
def test_a_setting_without_a_token_has_no_end(caplog: pytest.LogCaptureFixture, setting: str) -> None:
    warn_of_storage(read_settings({"MITORCH_STORAGE_URL": setting}), NOW)
    assert caplog.text == ""


def test_misubmit_tells_it(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MITORCH_HOME", str(tmp_path))
    monkeypatch.setenv("MITORCH_STORAGE_URL", URL.format(end="2020-01-01T00:00:00Z"))
    with caplog.at_level(logging.WARNING, "mitorch"):
        CliRunner().invoke(submit.command, ["-"], input="{}")
    assert "MITORCH_STORAGE_URL: the SAS token expired on 2020-01-01" in caplog.text
