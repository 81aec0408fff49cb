from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from mitorch_service.errors import DataError
from mitorch_service.training.data import file_checks as file_check
from mitorch_service.training.data.file_checks import check_files
from mitorch_service.training.data.formats.registry import read_image_list
from tests.unit.training.pictures import png


def check(folder: Path, *images: str) -> None:
    (folder / "train.txt").write_text("".join(f"{image} 0\n" for image in images))
    check_files(read_image_list(folder / "train.txt", "train"))


def test_finds_files_and_entries(tmp_path: Path) -> None:
    (tmp_path / "a b.png").write_bytes(png("red"))
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("c/d.png", png("red"))
    check(tmp_path, "a b.png", "x.zip@c/d.png", "x.zip@c/d.png")


def test_names_the_first_three_that_are_missing(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png("red"))
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError) as caught:
        check(tmp_path, "a.png", "folder", "b.png", "c.png", "d.png")
    assert "train: 4 of 5 images are missing: folder, b.png, c.png, …" in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_finds_those_of_many_that_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_check, "FILES_PER_CALL", 2)
    for number in range(60):
        (tmp_path / f"{number}.png").touch()
    (tmp_path / "7.png").unlink()
    (tmp_path / "53.png").unlink()
    with pytest.raises(DataError, match=r"2 of 60 images are missing: 7\.png, 53\.png \("):
        check(tmp_path, *(f"{number}.png" for number in range(60)))


def test_names_an_entry_that_the_zip_has_not(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a.png", png("red"))
    with pytest.raises(DataError, match=r"1 of 2 images is missing: x\.zip@b\.png"):
        check(tmp_path, "x.zip@a.png", "x.zip@b.png")


def test_names_a_zip_that_is_missing_or_damaged(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"x\.zip is missing"):
        check(tmp_path, "x.zip@a.png")
    (tmp_path / "x.zip").write_bytes(b"PK\x03\x04 and then nothing")
    with pytest.raises(DataError, match=r"x\.zip cannot be read \(File is not a zip file\)"):
        check(tmp_path, "x.zip@a.png")
