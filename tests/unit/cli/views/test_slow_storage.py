"""A storage that does not answer is told, and a quick one is not."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.cli.views.slow_storage import told_if_slow
from mitorch_service.runs.script.keep_code import keep_code
from mitorch_service.settings import read_settings

URL = "https://a.blob.core.windows.net/artifacts"


class SlowStore(FolderArtifactStore):
    """Answers once somebody was told, or after five seconds."""

    def exists(self, key: str) -> bool:
        for thread in threading.enumerate():
            if isinstance(thread, threading.Timer):
                thread.join(5)
        return super().exists(key)


def test_what_a_submission_waits_for_is_told_without_its_token(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "train.py"
    source.write_text("print(1)\n")
    settings = read_settings({"MITORCH_STORAGE_URL": f"{URL}?sig=hush", "HOME": str(tmp_path)})
    keep_code(source, SlowStore(tmp_path / "slow"), told_if_slow(settings, 0.02))
    assert capsys.readouterr().err == (
        f"Waiting for the artifact store {URL} (MITORCH_STORAGE_URL) to take the code; nothing is queued yet.\n"
    )
    keep_code(source, FolderArtifactStore(tmp_path / "quick"), told_if_slow(settings))
    assert capsys.readouterr().err == "" and not any(isinstance(one, threading.Timer) for one in threading.enumerate())
