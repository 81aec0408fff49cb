"""Images that splits share are found at registration where that is cheap, all of it on request, and kept."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mitorch_service.errors import NotAllowed
from mitorch_service.insights.datasets.leak_text import leak_text
from mitorch_service.models.dataset import DatasetRef, DatasetSplit, SplitLeaks
from mitorch_service.operations.datasets.dataset_leaks import check_dataset
from mitorch_service.operations.datasets.dataset_split import paths_of, read_source, split_source
from mitorch_service.settings import read_settings
from mitorch_service.training.data.splitting.split_request import SplitRequest
from mitorch_service.wiring import open_dataset_registry, open_store
from tests.unit.training.pictures import write_colors


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two splits, one of whose six validation images is trained on, and one a copy of such."""
    monkeypatch.setenv("MITORCH_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MITORCH_DB_URI", raising=False)
    write_colors(tmp_path, 12)
    val = write_colors(tmp_path, 6, "val")
    shutil.copy(tmp_path / "train" / "0.png", tmp_path / "val" / "0.png")
    val.write_text(val.read_text() + "train/3.png 0\n")
    definition = {"name": "colours", "version": 1, "train": {"path": "train.txt"}, "val": {"path": "val.txt"}}
    (tmp_path / "d.json").write_text(json.dumps([definition]))
    open_dataset_registry(read_settings()).register_file(str(tmp_path / "d.json"))
    return tmp_path


def kept() -> SplitLeaks:
    leaks = open_store(read_settings()).datasets.get_dataset(DatasetRef(name="colours")).contents["val"].leaks
    assert leaks is not None
    return leaks


def test_a_check_adds_what_registration_did_not_look_for(folder: Path) -> None:
    assert (kept().same_file, kept().same_content, kept().near_duplicates) == (1, 1, None)
    assert leak_text(kept()).startswith("1 the same file, 1 the same content; near-duplicates: see midataset check")
    store = open_store(read_settings())
    checked = check_dataset(store, store.datasets.get_dataset(DatasetRef(name="colours")), r"(\w+)/")
    assert checked.report.counts()["val"]["same file"] == 1
    assert (kept().same_file, kept().same_content) == (1, 1)
    assert kept().near_duplicates == len(kept().near_images)
    assert (kept().same_recording, kept().recordings) == (0, r"pattern (\w+)/")


def test_a_registered_version_is_split_anew(folder: Path) -> None:
    dataset = open_store(read_settings()).datasets.get_dataset(DatasetRef(name="colours"))
    source = read_source(paths_of(dataset), "colours:1", ["colours:1"])
    assert source.remark == "1 image named more than once: each counts once"
    written = split_source(source, SplitRequest(val=0.5), folder / "out", lambda images: ([0, 1] * 9, {"count": 2}))
    assert {name: counts["images"] for name, counts in written.record["counts"].items()} == {"train": 9, "val": 9}
    assert json.loads((folder / "out" / "split.json").read_text())["clusters"]["count"] == 2
    remote = dataset.model_copy(update={"val": DatasetSplit(path="https://x.blob.core.windows.net/c/val.txt")})
    with pytest.raises(NotAllowed, match="in blob storage"):
        paths_of(remote)
