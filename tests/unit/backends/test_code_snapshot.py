"""The code that nodes get."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mitorch_service.backends.azureml.code_snapshot import ENTRY, snapshot_folder
from mitorch_service.backends.azureml.node_entry import NEEDED, is_there
from mitorch_service.backends.azureml.vault import secret_names, secret_prefix


def test_the_same_code_gives_the_same_folder(tmp_path: Path) -> None:
    one, other = snapshot_folder(tmp_path / "a"), snapshot_folder(tmp_path / "b")
    assert one.name == other.name
    for path in one.iterdir():
        assert path.read_bytes() == (other / path.name).read_bytes()
    assert snapshot_folder(tmp_path / "a") == one
    assert [path.name for path in (tmp_path / "a" / "snapshots").iterdir()] == [one.name]  # nothing half made


@pytest.mark.long
def test_the_wheel_is_one_that_pip_takes(tmp_path: Path) -> None:
    folder = snapshot_folder(tmp_path)
    wheel = next(folder.glob("*.whl"))
    program = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", str(tmp_path / "there")]
    subprocess.run([*program, str(wheel)], check=True, capture_output=True)
    assert (tmp_path / "there" / "mitorch_service" / "backends" / "azureml" / ENTRY).is_file()
    assert not any("__pycache__" in name or name.startswith("tests") for name in zipfile.ZipFile(wheel).namelist())


def test_every_pin_is_what_is_tested_here(tmp_path: Path) -> None:
    requirements = (snapshot_folder(tmp_path) / "requirements.txt").read_text().splitlines()
    pins = [line for line in requirements if line and not line.startswith("#")]
    installed = subprocess.run(
        [sys.executable, "-m", "pip", "list", "--format=freeze"], check=True, capture_output=True, text=True
    )
    names = {line.lower().partition("==")[0] for line in installed.stdout.splitlines()}
    assert {pin.partition("==")[0] for pin in pins} <= names
    assert all("==" in pin for pin in pins)


def test_the_entry_finds_what_is_installed_and_what_is_not() -> None:
    assert all(is_there(name) for name in NEEDED)
    assert not is_there("no_such.module")


def test_secret_names_follow_the_place_and_not_the_password() -> None:
    def prefix(uri: str, storage: str = "https://a.blob.core.windows.net/c?sig=one", name: str = "mitorch") -> str:
        return secret_prefix({"MITORCH_DB_URI": uri, "MITORCH_STORAGE_URL": storage, "MITORCH_DB_NAME": name})

    first = prefix("mongodb://me:one@db/")
    assert first == prefix("mongodb://me:two@db/", "https://a.blob.core.windows.net/c?sig=two")
    assert first != prefix("mongodb://me:one@other/")
    assert first != prefix("mongodb://me:one@db/", name="other")
    assert set(secret_names(first).values()) == {f"{first}-db-uri", f"{first}-storage-url"}
