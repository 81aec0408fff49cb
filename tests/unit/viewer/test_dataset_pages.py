"""The pages of data sets: what they show, and that no file but a sample is served."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from mitorch_service.models.dataset import ClassCount, Dataset, DatasetSplit, SplitContents
from tests.samples import NOW
from tests.served import Served, served

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path, trainings=20) as made:
        yield made


def register(service: Served, folder: Path) -> None:
    """A data set of four images, whose class is hostile."""
    for split in ("train", "val"):
        for number in range(4):
            file = folder / split / f"{HOSTILE.replace('/', '')}{number % 2}" / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (40, 30), (number * 50, 0, 0)).save(file)
    counts = [ClassCount(name=HOSTILE, count=2), ClassCount(name="b", count=2)]
    contents = SplitContents(kind="multiclass", images=4, classes=2, counts=counts)
    splits = {name: DatasetSplit(path=str(folder / name)) for name in ("train", "val")}
    dataset = Dataset(id="odd set:3", name="odd set", version=3, created_at=NOW, contents={"train": contents}, **splits)
    service.store.datasets.add_dataset(dataset)


def test_a_version_shows_classes_users_and_samples(service: Served, tmp_path: Path) -> None:
    register(service, tmp_path / "data")
    client = service.client()
    page = client.get("/datasets/odd%20set:3?wait=true").text
    assert HOSTILE not in page and "&lt;script&gt;" in page
    images = re.findall(r'href="(/datasets/odd%20set%3A3/samples/\d+\?seed=0)"', page)
    assert len(images) == 4
    shown = client.get(images[0])
    assert shown.headers["content-type"] == "image/webp" and shown.content[8:12] == b"WEBP"
    assert "sandbox" in shown.headers["content-security-policy"]
    assert "shares no image with train" not in page and "in train too" in page  # the same colours in both
    assert "Nobody has trained on it yet" in page and "misubmit CONFIG.json" in page


def test_nothing_but_a_sample_is_served(service: Served, tmp_path: Path) -> None:
    register(service, tmp_path / "data")
    for index in ("4", "-1", "999999", "..%2f..%2fetc%2fpasswd", "a.png"):
        answer = service.client().get(f"/datasets/odd%20set:3/samples/{index}")
        assert answer.status_code in (404, 422), index


def test_the_list_names_all_and_pages_lead_on(service: Served) -> None:
    client = service.client()
    page = client.get("/datasets").text
    assert re.findall(r'href="/datasets/([a-z]+)"', page) == ["parts", "welds"]
    newest = client.get("/datasets/parts").text
    assert "version 2" in newest and "Changes since version 1" in newest
    old = client.get("/datasets/parts:1").text
    assert "newest: 2" in old and "Best top1_accuracy" in old
    assert client.get("/datasets/nothing").status_code == 404
    assert client.get("/datasets/parts:x").status_code == 404


def test_an_empty_list_names_the_next_command(tmp_path: Path) -> None:
    with served(tmp_path, trainings=0) as service:
        for dataset in service.store.datasets.list_datasets().items:
            service.store.datasets.remove_dataset(dataset.ref)
        assert "midataset register" in service.client().get("/datasets").text
