"""Who may read what we write, whatever the umask."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.errors import ArtifactError, SettingsError
from mitorch_service.file_access import PRIVATE, FileAccess
from mitorch_service.settings import read_settings
from mitorch_service.stores.sqlite.store import SqliteStore
from mitorch_service.wiring import open_artifacts, open_store, run_environment
from tests.other_user import User, common_folder, needs_root
from tests.samples import a_training


@pytest.fixture(params=[0, 0o022, 0o077])
def _umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def modes(root: Path) -> set[str]:
    """The modes of all folders (in capital letters) and files from the root on."""
    paths = [root, *root.rglob("*")]
    return {f"{'D' if path.is_dir() else 'f'}{path.stat().st_mode & 0o7777:04o}" for path in paths}


@pytest.mark.usefixtures("_umask")
@pytest.mark.parametrize("group", ["", str(os.getegid())])
def test_database_and_artifacts_are_private_or_the_groups(tmp_path: Path, group: str) -> None:
    settings = read_settings({"MITORCH_HOME": str(tmp_path / "a" / "home"), "MITORCH_SHARED_GROUP": group})
    store = open_store(settings, create=True)
    store.queue.add_trainings([a_training()])
    (tmp_path / "file").write_text("x")
    open_artifacts(settings).put("id/model.pth", tmp_path / "file")
    assert (settings.home / "mitorch.db-wal").exists()
    assert modes(tmp_path / "a") == ({"D2770", "f0660"} if group else {"D0700", "f0600"})
    store.close()
    assert ("MITORCH_SHARED_GROUP" in run_environment(settings)) == bool(group)
    assert FileAccess.like(settings.home) == settings.file_access


@needs_root
def test_a_link_that_another_member_of_the_group_has_made_is_not_followed() -> None:
    group = 3111
    owner, other = User(2001, (group,)), User(2002, (group,))
    with common_folder(owner, 0o2770, group) as folder:
        mine = folder / "mine"

        def fill() -> None:
            (mine / "secrets").mkdir(parents=True)
            (mine / "secrets" / "key").write_text("k")
            (folder / "store").mkdir()
            (folder / "store").chmod(0o2770)

        def attack(command: str, *arguments: object) -> None:
            store = FolderArtifactStore(folder / "store", FileAccess(group))
            with pytest.raises(ArtifactError, match="is a link of another user: remove it"):
                getattr(store, command)(*arguments)

        owner.run(fill)
        other.run(lambda: (folder / "store" / "t").symlink_to(mine))
        for arguments in (("delete", "t/secrets/"), ("keys", "t/"), ("put", "t/x/key", mine / "secrets" / "key")):
            owner.run(partial(attack, *arguments))
        assert (mine / "secrets" / "key").read_text() == "k"


def test_what_exists_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "team").mkdir(0o755)
    (tmp_path / "team" / "mitorch.db").touch(0o644)
    SqliteStore(tmp_path / "team" / "mitorch.db").close()
    FolderArtifactStore(tmp_path / "team").check()
    assert {"D0755", "f0644"} <= modes(tmp_path / "team")


def test_a_file_in_the_way_of_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    for folder in (tmp_path / "a", tmp_path / "a" / "b"):
        with pytest.raises(OSError, match=r"File exists|Not a directory"):
            PRIVATE.make_folder(folder)


def test_a_group_that_is_not_there_or_not_ones_own_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"MITORCH_SHARED_GROUP.*'no-such-group' does not exist"):
        read_settings({"MITORCH_SHARED_GROUP": "no-such-group"})
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SettingsError, match="you are not a member of the group '54321'"):
        read_settings({"MITORCH_SHARED_GROUP": "54321"})


def test_a_folder_that_cannot_be_made_is_an_error() -> None:
    for folder in ("/proc/nowhere", "/proc/nowhere/below"):
        with pytest.raises(FileNotFoundError):
            PRIVATE.make_folder(Path(folder))
