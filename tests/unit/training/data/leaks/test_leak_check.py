"""Images that two splits share: each kind is found, and what only looks similar is not."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mitorch_service.training.data.formats.registry import read_image_list
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.data.leaks.leak_check import Frames, LeakReport, check_leaks
from mitorch_service.training.data.leaks.leak_sheet import draw_leaks


def photograph(number: int) -> Image.Image:
    """A picture of blurred shapes, as different from others as photographs are."""
    draw = np.random.default_rng(number)
    image = Image.new("RGB", (96, 72), tuple(draw.integers(0, 255, 3).tolist()))
    pencil = ImageDraw.Draw(image)
    for _ in range(12):
        x, y, size = (int(draw.integers(low, high)) for low, high in ((0, 96), (0, 72), (8, 40)))
        pencil.ellipse((x, y, x + size, y + size), fill=tuple(draw.integers(0, 255, 3).tolist()))
    return image


@pytest.fixture
def lists(tmp_path: Path) -> dict[str, ImageList]:
    """20 images to train on; of those of val, one is a copy in other bytes, one smaller, one re-encoded and brighter,
    one the same file, four are new."""
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
    for number in range(20):
        photograph(number).save(tmp_path / "train" / f"{number}.png")
    shutil.copy(tmp_path / "train" / "0.png", tmp_path / "val" / "copy.png")
    photograph(1).resize((48, 36)).save(tmp_path / "val" / "smaller.png")
    photograph(2).point(lambda value: min(255, value + 9)).save(tmp_path / "val" / "encoded.jpg", quality=60)
    for number in range(4):
        photograph(100 + number).save(tmp_path / "val" / f"new{number}.png")
    (tmp_path / "val" / "broken.png").write_bytes(b"no image")
    names = {"train": [f"train/{number}.png" for number in range(20)]}
    names["val"] = [f"val/{path.name}" for path in sorted((tmp_path / "val").iterdir())] + ["train/3.png"]
    for split, images in names.items():
        (tmp_path / f"{split}.txt").write_text("".join(f"{image} 0\n" for image in images))
    return {split: read_image_list(tmp_path / f"{split}.txt") for split in names}


def found(report: LeakReport) -> dict[str, tuple[str, str]]:
    return {Path(leak.image).name: (leak.kind, Path(leak.other_image).name) for leak in report.leaks}


def test_each_kind_is_found_with_what_it_is_like(lists: dict[str, ImageList], tmp_path: Path) -> None:
    report = check_leaks(lists)
    assert found(report) == {
        "3.png": ("same file", "3.png"),
        "copy.png": ("same content", "0.png"),
        "smaller.png": ("near-duplicate", "1.png"),
        "encoded.jpg": ("near-duplicate", "2.png"),
    }
    assert report.counts() == {
        "val": {"same file": 1, "same content": 1, "near-duplicate": 2, "same recording": 0},
    }
    assert len(report.damaged) == 1
    assert "broken.png" in report.damaged[0]
    with Image.open(draw_leaks(report.leaks, lists, "shared", tmp_path / "sheet.png")) as sheet:
        assert sheet.width > 1000


def test_images_that_are_cut_at_their_edges_are_found(tmp_path: Path) -> None:
    """A cut of 3 % of width and height, among 30 other pictures."""
    draw = np.random.default_rng(0)
    lists = {}
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
        for number in range(30):
            image = photograph(number)
            if split == "val":
                left, top = (int(draw.integers(0, 3)) for _ in range(2))
                image = image.crop((left, top, image.width - 3 + left, image.height - 2 + top))
            image.save(tmp_path / split / f"{number}.png")
        text = tmp_path / f"{split}.txt"
        text.write_text("".join(f"{split}/{number}.png 0\n" for number in range(30)))
        lists[split] = read_image_list(text)
    like = found(check_leaks(lists))
    assert len(like) >= 28
    assert all(name == other for name, (_, other) in like.items())


def test_frames_of_one_recording_count_where_nothing_surer_holds(lists: dict[str, ImageList]) -> None:
    frames = Frames(["a"] * 10 + ["b"] * 10 + ["b", "b", "c", "", "a", "c", "c", "c", "c"], "by hand")
    report = check_leaks(lists, frames)
    assert report.counts()["val"]["same recording"] == 2  # the broken one, and a new one
    assert report.recordings == "by hand"


def test_a_backbone_decides_on_near_duplicates(lists: dict[str, ImageList]) -> None:
    asked: list[str] = []

    def compare(ours: Sequence[tuple[ImageList, int]], theirs: Sequence[tuple[ImageList, int]]) -> NDArray[np.float32]:
        asked.extend(images.images[index] for images, index in ours)
        return np.array([float("smaller" in images.images[index]) for images, index in ours], np.float32)

    report = check_leaks(lists, compare=compare)
    assert {"val/smaller.png", "val/encoded.jpg"} <= set(asked)
    assert "smaller.png" in found(report)
    assert "encoded.jpg" not in found(report)


def test_three_splits_are_compared_with_all_before(lists: dict[str, ImageList]) -> None:
    report = check_leaks({**lists, "test": lists["val"].select([4], "test")})
    (leak,) = [leak for leak in report.leaks if leak.split == "test"]
    assert (leak.kind, leak.other_split) == ("same file", "val")
