"""The token: of the setting, or of the home, made once and kept from others."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from mitorch_service.errors import SettingsError
from mitorch_service.file_access import PRIVATE
from mitorch_service.models.secrets import mask_secrets
from mitorch_service.viewer.access.token import read_token


def test_it_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    home = tmp_path / "home"
    token = read_token(home, PRIVATE, None)
    assert read_token(home, PRIVATE, None) == token and len(token) > 40
    assert (home / "viewer-token").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in home.iterdir()] == ["viewer-token"]
    assert token not in mask_secrets(f"it is {token}")
    renewed = read_token(home, PRIVATE, None, renew=True)
    assert renewed != token and read_token(home, PRIVATE, None) == renewed


def test_viewers_that_start_together_agree(tmp_path: Path) -> None:
    found: set[str] = set()
    threads = [
        threading.Thread(target=lambda: found.add(read_token(tmp_path / "home", PRIVATE, None))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 1


@pytest.mark.parametrize("given", ["short", "a b c d e f g h i j", "x" * 201, "token-with-a-&-in-it-00"])
def test_one_that_can_be_guessed_or_breaks_a_link_is_refused(tmp_path: Path, given: str) -> None:
    with pytest.raises(SettingsError, match="16 to 200 letters") as error:
        read_token(tmp_path, PRIVATE, given)
    assert given not in str(error.value)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "viewer-token").mkdir()
    with pytest.raises(SettingsError, match="viewer-token: Is a directory"):
        read_token(tmp_path, PRIVATE, None)


def test_a_damaged_file_is_replaced(tmp_path: Path) -> None:
    for content in (b"", b"\xff\xfe", b"x"):
        (tmp_path / "viewer-token").write_bytes(content)
        token = read_token(tmp_path, PRIVATE, None)
        assert read_token(tmp_path, PRIVATE, None) == token
