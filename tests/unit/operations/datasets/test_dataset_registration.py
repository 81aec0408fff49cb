"""midataset register on this machine: any format, the training's classes for all splits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from mitorch_service.errors import InvalidInput
from mitorch_service.settings import read_settings
from mitorch_service.wiring import open_dataset_registry


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Image folders ``train`` and ``val``, and their definition in ``d.json``."""
    monkeypatch.setenv("MITORCH_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MITORCH_DB_URI", raising=False)
    for number, place in enumerate(("train/cat", "train/dog", "train/owl", "val/owl")):
        write_image(tmp_path / place / "1.png", number)
    definition = {"name": "pets", "version": 1, "train": {"path": "train"}, "val": {"path": "val"}}
    (tmp_path / "d.json").write_text(json.dumps([definition]))
    return tmp_path


def register(folder: Path) -> list[str]:
    """Registers ``d.json``; returns the names and versions."""
    return [str(one.ref) for one in open_dataset_registry(read_settings()).register_file(str(folder / "d.json"))]


def write_image(path: Path, shade: int) -> None:
    path.parent.mkdir(parents=True)
    Image.new("RGB", (8, 8), (shade, shade, shade)).save(path)


def test_folders_are_registered_although_a_class_is_not_validated(folder: Path) -> None:
    assert register(folder) == ["pets:1"]


def test_a_class_that_is_only_validated_is_named(folder: Path) -> None:
    write_image(folder / "val" / "fox" / "1.png", 9)
    with pytest.raises(InvalidInput, match=r"\[0\]\.val\.path: .*class 'fox' is not in the classes of .*train"):
        register(folder)


def test_a_path_that_is_not_there(folder: Path) -> None:
    (folder / "val" / "owl" / "1.png").unlink()
    (folder / "val" / "owl").rmdir()
    (folder / "val").rmdir()
    with pytest.raises(InvalidInput, match=r"val\.path: there is no file or folder"):
        register(folder)
