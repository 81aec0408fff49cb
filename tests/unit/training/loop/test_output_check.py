from __future__ import annotations

from pathlib import Path

import pytest

from mitorch_service.errors import InvalidInput
from mitorch_service.training.loop.output_check import check_writable


def test_a_place_that_can_be_written_to_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "old.pth").write_bytes(b"old")
    check_writable(tmp_path / "new.pth")
    check_writable(tmp_path / "old.pth")
    assert [file.name for file in tmp_path.iterdir()] == ["old.pth"]


def test_its_folder_is_made(tmp_path: Path) -> None:
    check_writable(tmp_path / "new" / "folder" / "m.pth")
    assert [*(tmp_path / "new" / "folder").iterdir()] == []


def test_places_that_cannot(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="is a folder: give a file's path"):
        check_writable(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match=r"cannot be written .*give a path in a folder of yours"):
        check_writable(tmp_path / "file" / "m.pth")
    with pytest.raises(InvalidInput, match="cannot be written"):
        check_writable(Path("/proc/m.pth"))
