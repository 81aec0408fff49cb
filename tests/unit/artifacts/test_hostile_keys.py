"""Keys of artifacts that would lead elsewhere, or that no file can have."""

from __future__ import annotations

from pathlib import Path

import pytest

from mitorch_service.artifacts.blob.store import BlobArtifactStore
from mitorch_service.artifacts.blob.url import BlobRoot
from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.errors import ArtifactError, InvalidKey
from mitorch_service.models.blob_storage.blob_names import blob_name_problem
from tests.hostile_names import HOSTILE_CELLS, HOSTILE_NAMES


@pytest.mark.parametrize("start", ["", "a/"])
def test_any_name_is_a_file_in_the_store_or_refused(tmp_path: Path, start: str) -> None:
    source, root = tmp_path / "source", tmp_path / "store"
    source.write_text("x")
    artifacts = FolderArtifactStore(root)
    for name in HOSTILE_NAMES:
        key = f"{start}{name}"
        try:
            artifacts.put(key, source)
        except ArtifactError as error:
            assert "\0" not in str(error)
            for call in (artifacts.exists, artifacts.keys, artifacts.delete):
                try:
                    call(key)
                except ArtifactError:
                    continue
        else:
            assert artifacts.exists(key)
        assert {path.name for path in tmp_path.iterdir()} <= {"source", "store"}, key


CONNECTION = "DefaultEndpointsProtocol=http;AccountName=me;AccountKey=aGVsbG8=;BlobEndpoint=http://127.0.0.1:9/me;"
UNASKED = ("..", "../x", "a/../../x", "/etc/x", "", "a\0b", "a\nb", "\x1b[2Jx", "\x7f", "a\x85b", "\ud800", "\uffff")
UNSTORED = ("x.", "a./b", "...", "a\\b", "n" * 1025, "a/" * 254 + "x")


@pytest.fixture
def store() -> BlobArtifactStore:
    """A store without a server: whatever asks it raises another error."""
    return BlobArtifactStore(f"{CONNECTION}Container=c;Prefix=p", retries=0)


@pytest.mark.parametrize("key", UNASKED)
def test_a_key_that_no_blob_can_have_is_refused_before_anything_is_asked(
    key: str, store: BlobArtifactStore, tmp_path: Path
) -> None:
    source = tmp_path / "x"
    source.touch()
    calls = (store.exists, store.keys, store.delete, store.path_for_runs, lambda key: store.get(key, source))
    for call in (*calls, lambda key: store.put(key, source)):
        with pytest.raises(InvalidKey, match=r"leads out of the store|no blob .* name: .*Rename the file") as told:
            call(key)
        assert str(told.value).isprintable()


@pytest.mark.parametrize("key", UNSTORED)
def test_one_under_which_azure_would_store_something_else_is_not_written(
    key: str, store: BlobArtifactStore, tmp_path: Path
) -> None:
    (tmp_path / "x").touch()
    with pytest.raises(InvalidKey, match=r"no blob can have this name: it has .*Rename the file"):
        store.put(f"1/{key}", tmp_path / "x")
    assert "/c/p/1/a%20b" in store.path_for_runs("1/a b")


def test_names_that_azure_takes() -> None:
    names = (
        "1/model.pth",
        "a b",
        "=1+1",
        "-rf",
        "~",
        "NUL",
        "é犬",
        "a//b",
        "\u202ex",
        "x" * 1024,
        "a/" * 253 + "x",
        ".x",
    )
    assert [name for name in names if blob_name_problem(name)] == []
    told = {name: blob_name_problem(name) for name in (*HOSTILE_NAMES, *HOSTILE_CELLS)}
    assert told[".."] is not None and told["a\0b"] is not None and told["=1+1"] is None


@pytest.mark.parametrize("prefix", ["../other", "a/./b", "a\\b", "a\x1b"])
def test_the_prefix_of_a_store_has_the_same_rules(prefix: str) -> None:
    with pytest.raises(ValueError, match="its Prefix has a"):
        BlobRoot.parse(f"{CONNECTION}Container=c;Prefix={prefix}")
