"""Images by path or by the name of a registered data set."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from mitorch_service.artifacts.dataset_files import DatasetFiles
from mitorch_service.errors import DataError, InvalidInput
from mitorch_service.operations.datasets.named_images import named_images
from mitorch_service.stores.base import Store
from tests.samples import a_dataset


def test_paths_and_registered_data_sets_each_image_once(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a folder of that name would come first
    for name in ("train/a.png", "val/b.png"):
        (tmp_path / name).parent.mkdir()
        Image.new("RGB", (4, 4)).save(tmp_path / name)
        (tmp_path / f"{name[:-6]}.txt").write_text(f"{name}\n")  # no labels are needed
    splits = {name: {"path": str(tmp_path / f"{name}.txt")} for name in ("train", "val")}
    store.datasets.add_dataset(a_dataset().model_validate({**a_dataset().model_dump(), **splits, "test": None}))
    opened: list[int] = []

    def registry() -> tuple[Store, DatasetFiles]:
        opened.append(1)
        return store, DatasetFiles(tmp_path / "cache")

    with named_images([str(tmp_path / "val"), str(tmp_path / "val" / "b.png")], "val", registry) as paths:
        assert (list(paths), opened) == ([str(tmp_path / "val/b.png")], [])
    with named_images(["digits", "digits:1", str(tmp_path / "val")], "train", registry) as paths:
        assert list(paths) == [str(tmp_path / "train/a.png"), str(tmp_path / "val/b.png")]
    assert opened == [1]
    with (
        pytest.raises(InvalidInput, match="--split: digits:1 has no test, but train, val"),
        named_images(["digits"], "test", registry),
    ):
        pass
    with (
        pytest.raises(DataError, match="letters: there is no such file or folder, and no registered data set"),
        named_images(["letters"], "val", registry),
    ):
        pass
