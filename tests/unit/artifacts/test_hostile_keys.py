"""Keys of artifacts that would lead elsewhere, or that no file can have."""

from __future__ import annotations

from pathlib import Path

import pytest

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.errors import ArtifactError
from tests.hostile_names import HOSTILE_NAMES


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
