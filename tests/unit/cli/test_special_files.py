"""Pipes and devices in place of files: refused by every command before anything reads them."""

from __future__ import annotations

import os
from pathlib import Path

import click
import pytest

from mitorch_service.cli.parameters.parameter_types import FilePath


@pytest.mark.parametrize(("path", "kind"), [("/dev/zero", "a device"), ("pipe", "a pipe")])
def test_what_never_ends_or_blocks_is_refused(
    path: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    with pytest.raises(click.BadParameter, match=f"{path} is {kind}, not a file or folder"):
        FilePath().convert(path, None, None)


def test_streams_files_and_what_is_not_there_pass(tmp_path: Path) -> None:
    reading, writing = os.pipe()  # as a shell makes of <(…)
    for path in ("/dev/null", "/dev/stdin", f"/dev/fd/{reading}", str(tmp_path), str(tmp_path / "none")):
        assert FilePath().convert(path, None, None) == path
    os.close(reading)
    os.close(writing)
