"""Folders of classes: links are followed, and nothing that lies there is left out without a word."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mitorch_service.errors import DataError
from mitorch_service.training.data.file_checks import check_files
from mitorch_service.training.data.formats.registry import read_image_list
from tests.unit.training.pictures import png


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(png("red"))


def test_links_to_folders_and_files_are_followed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path / "store", "old/a.png", "old/deep/b.png", "owls/c.png")
    write(tmp_path / "set", "cat/d.png", "dog/e.png")
    (tmp_path / "set" / "cat" / "older").symlink_to(tmp_path / "store" / "old")
    (tmp_path / "set" / "cat" / "f.png").symlink_to(tmp_path / "store" / "owls" / "c.png")
    (tmp_path / "set" / "owl").symlink_to("../store/owls")
    found = read_image_list(tmp_path / "set")
    expected = ["cat/d.png", "cat/f.png", "cat/older/a.png", "cat/older/deep/b.png", "dog/e.png", "owl/c.png"]
    assert list(found.images) == expected
    assert found.classes == ("cat", "dog", "owl")
    check_files(found)
    assert caplog.messages == []


def test_links_in_a_circle_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path / "set", "cat/deep/a.png", "dog/b.png")
    (tmp_path / "set" / "cat" / "deep" / "again").symlink_to("..")
    (tmp_path / "set" / "cat" / "all").symlink_to(tmp_path / "set")
    (tmp_path / "set" / "dog" / "up").symlink_to(tmp_path)
    (tmp_path / "set" / "self").symlink_to(".")
    found = read_image_list(tmp_path / "set", "pets")
    assert list(found.images) == ["cat/deep/a.png", "dog/b.png"]
    assert caplog.messages == ["pets: 4 left out (a link to a folder that is read already); the first is cat/all/"]


def test_what_is_left_out_is_counted_with_its_reason(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, "cat/a.png", "cat/b.txt", "cat/deep/c", "dog/.hidden/x.png", "dog/d.PNG", "dog/.DS_Store", "e.png")
    write(tmp_path, "owl/notes.md", "labels.csv", ".git/f.png")
    (tmp_path / "birds").symlink_to("gone")
    found = read_image_list(tmp_path, "pets")
    assert list(found.images) == ["cat/a.png", "dog/d.PNG"]
    assert sorted(caplog.messages) == [
        "pets: 1 left out (a folder without an image); the first is owl/",
        "pets: 1 left out (a link that leads nowhere); the first is birds",
        "pets: 1 left out (an image beside the folders of the classes); the first is e.png",
        "pets: 3 left out (hidden); the first is .git",
        "pets: 4 left out (not the extension of an image); the first is cat/b.txt",
    ]


def test_a_folder_that_cannot_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "cat/a.png", "cat/shut/b.png")
    scandir = os.scandir

    def refuse(path: str) -> os._ScandirIterator[str]:
        if str(path).endswith("shut"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)  # root may read everything
    with pytest.raises(DataError, match=r"the folder .*/cat/shut cannot be read \(Permission denied\)"):
        read_image_list(tmp_path)


def test_a_class_name_that_is_not_text_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "cat/a.png")
    os.rename(tmp_path / "cat", os.fsencode(tmp_path) + b"/caf\xe9")  # noqa: PTH104 - bytes
    with pytest.raises(DataError, match=r"the class 'caf\\udce9' has a name that is not UTF-8. Rename it"):
        read_image_list(tmp_path)
