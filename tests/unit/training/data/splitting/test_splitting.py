"""The parts of a data set: by class, by group, refused where that is not possible, and read again."""

from __future__ import annotations

import json
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from mitorch_service.errors import DataError, InvalidInput
from mitorch_service.training.data.formats.registry import read_image_list
from mitorch_service.training.data.image_list import ImageList, PackedStrings
from mitorch_service.training.data.splitting.groups import find_groups
from mitorch_service.training.data.splitting.joined_list import concatenate, join
from mitorch_service.training.data.splitting.split_files import write_parts
from mitorch_service.training.data.splitting.split_request import SplitRequest
from mitorch_service.training.data.splitting.splitting import Split, digest, split_images
from mitorch_service.training.data.targets import BoxTargets, ClassSetTargets, ClassTargets, Targets


def named(names: list[str], targets: Targets, classes: Sequence[str] = "abc", folder: str = "/photos") -> ImageList:
    return ImageList("photos", Path(folder), PackedStrings(names), targets, tuple(classes))


def multiclass(count: int, classes: int = 3) -> ImageList:
    names = [f"r{index // 4}_{index % 4}.png" for index in range(count)]
    return named(names, ClassTargets(index % classes for index in range(count)))


def boxes(count: int) -> ImageList:
    """Images with 0 to 3 boxes of two classes."""
    numbers = [index % 4 for index in range(count)]
    ends = array("Q", [0])
    for number in numbers:
        ends.append(ends[-1] + number)
    total = ends[-1]
    corners = array("f", (float(value) for box in range(total) for value in (box, 1, box + 2.25, 9)))
    return named(
        [f"{index}.png" for index in range(count)],
        BoxTargets(ends, array("q", (i % 2 for i in range(total))), corners),
        "ab",
    )


def images_of(split: Split) -> dict[str, list[str]]:
    return {name: list(part.images) for name, part in split.parts.items()}


def test_each_class_in_each_part_and_the_same_again() -> None:
    images = multiclass(60)
    split = split_images(images, SplitRequest(val=0.2, test=0.1, seed=5))
    assert {name: len(part) for name, part in split.parts.items()} == {"train": 42, "val": 12, "test": 6}
    assert split.counts["val"] == {"a": 4, "b": 4, "c": 4}
    reversed_ = images.select(range(59, -1, -1), "photos")
    again = split_images(reversed_, SplitRequest(val=0.2, test=0.1, seed=5))
    assert images_of(again) == images_of(split)
    assert digest(reversed_) == digest(images) != digest(multiclass(61))


def test_boxes_and_images_without_any_are_spread() -> None:
    split = split_images(boxes(80), SplitRequest(val=0.25))
    assert split.counts["val"]["a"] == pytest.approx(15, abs=1)
    empty = [sum(not part.targets.labels_of(i) for i in range(len(part))) for part in split.parts.values()]
    assert empty == [15, 5]


def test_groups_are_not_divided() -> None:
    images = multiclass(80)
    groups, rule = find_groups(images, r"(r\d+)_", {})
    assert (len(set(groups)), rule) == (20, r"pattern (r\d+)_")
    split = split_images(images, SplitRequest(by="group"), groups)
    recordings = [{name.split("_")[0] for name in part} for part in images_of(split).values()]
    assert recordings[0].isdisjoint(recordings[1])
    assert abs(len(split.parts["val"]) - 16) <= 4
    guessed, rule = find_groups(images, None, {})
    assert (guessed, rule) == (groups, "guessed: the name before its last number")


def test_groups_by_a_column_of_a_csv_file(tmp_path: Path) -> None:
    table = tmp_path / "list.csv"
    table.write_text("image,label,site\n" + "".join(f"./{n}.png,{n % 2},site{n // 3}\n" for n in range(12)))
    images, _ = join([read_image_list(table)], "photos")
    assert find_groups(images, "Site", {table: tmp_path})[0] == [f"site{n // 3}" for n in range(12)]
    table.write_text("image,label,site\n1.png,0,\n")
    with pytest.raises(InvalidInput, match="'site' has no value on line 2"):
        find_groups(images, "site", {table: tmp_path})


@pytest.mark.parametrize(
    ("group", "problem"),
    [("(", "no regular expression"), ("x", r"'x' is not found in 8 of 8 paths: r0_0\.png"), (None, "is needed")],
)
def test_groups_that_cannot_be_found(group: str | None, problem: str) -> None:
    images = multiclass(8) if group else named([f"{n}.png" for n in range(8)], ClassTargets([0, 1] * 4))
    with pytest.raises(InvalidInput, match=problem):
        find_groups(images, group, {})


@pytest.mark.parametrize(
    ("val", "test", "problem"),
    [(0.8, 0.2, "leave no image for train"), (0, 0, "nothing to validate on"), (1, 0, "less than 1")],
)
def test_fractions_that_leave_nothing(val: float, test: float, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        split_images(multiclass(9), SplitRequest(val=val, test=test))


def test_a_class_with_too_few_images() -> None:
    images = named([f"{n}.png" for n in range(20)], ClassTargets([2, *([0, 1] * 9), 0]))
    with pytest.raises(DataError, match=r"1 class cannot be in each of train, val: c \(1 image\)\. Add images"):
        split_images(images, SplitRequest())
    split = split_images(images, SplitRequest(rare_to_train=True))
    assert (split.counts["train"]["c"], split.counts["val"]["c"]) == (1, 0)


def test_groups_that_are_too_large() -> None:
    images = multiclass(40)
    halves = ["one" if index < 20 else "other" for index in range(40)]
    problem = r"val would get 50% of the images, not 20%\. There are 2 groups; the largest, one, has 20"
    with pytest.raises(DataError, match=problem):
        split_images(images, SplitRequest(by="group"), halves)


def test_clusters_are_in_both_parts() -> None:
    images = multiclass(90)
    clusters = [index // 30 for index in range(90)]
    split = split_images(images, SplitRequest(val=0.2), clusters=clusters)
    found = Counter((part, cluster) for part, cluster in zip(split.of_image, clusters, strict=True))
    assert all(found["val", cluster] == 6 for cluster in range(3))
    assert set(split.counts["val"].values()) == {6}


@pytest.mark.parametrize(
    "images",
    [multiclass(12), named([f"x y{n}.png" for n in range(12)], ClassSetTargets([[0], [1, 2]] * 6)), boxes(12)],
    ids=["multiclass", "multilabel", "detection"],
)
def test_what_is_written_is_read_again(tmp_path: Path, images: ImageList) -> None:
    folder = tmp_path / "out"
    parts = split_images(images, SplitRequest(val=0.4)).parts
    for _ in range(2):  # again, over the files of before
        files = write_parts(folder, parts, {"seed": 0})
    for name, part in parts.items():
        read = read_image_list(files[name])
        assert [str(read.location(i)) for i in range(len(read))] == [str(part.location(i)) for i in range(len(part))]
        assert read.kind == part.kind
        assert read.classes == part.classes
        assert [list(read.targets.labels_of(i)) for i in range(len(read))] == [
            list(part.targets.labels_of(i)) for i in range(len(part))
        ]
        assert [list(read.targets.corners_of(i)) for i in range(len(read))] == [
            list(part.targets.corners_of(i)) for i in range(len(part))
        ]
    assert json.loads((folder / "split.json").read_text())["files"]["val"] == files["val"].name
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").touch()
    with pytest.raises(DataError, match="has other files in it"):
        write_parts(tmp_path / "other", parts, {})


def test_lists_are_joined_and_an_image_is_taken_once() -> None:
    one = named(["1.png", "2.png"], ClassTargets([0, 1]), folder="/photos/train")
    other = named(["../train/2.png", "3.png"], ClassTargets([1, 2]), folder="/photos/val")
    joined, remark = join([one, other], "all")
    assert list(joined.images) == ["train/1.png", "train/2.png", "val/3.png"]
    assert remark == "1 image named more than once: each counts once"
    assert list(concatenate([one, other], "all").images) == ["train/1.png", "train/2.png", "train/2.png", "val/3.png"]
    assert len(join([boxes(6), boxes(6)], "all")[0]) == 6
    with pytest.raises(DataError, match=r"train/2\.png is there twice, with other labels"):
        join([one, named(["../train/2.png"], ClassTargets([0]), folder="/photos/val")], "all")


@pytest.mark.parametrize(
    ("images", "problem"),
    [
        (named(["1.png"], ClassTargets([0]), classes=["a", "b\nc"]), r"the class 'b\\nc' .*labels\.txt.*Rename it"),
        (replace(boxes(4), classes=("a ", "b")), "the class 'a ' .*labels.txt"),
        (named(["1\n2.png"], ClassTargets([0])), r"the image '1\\n2\.png' .*Rename the file"),
        (named(['1".png'], ClassTargets([0])), "double quote"),
        (named(["1.png"], ClassTargets([0]), folder="/a\nb"), r"'/a\\nb'"),
    ],
)
def test_names_that_would_be_read_otherwise_are_refused_first(tmp_path: Path, images: ImageList, problem: str) -> None:
    """With a line break in the name of a class, all ids behind it were those of other classes."""
    write_parts(tmp_path, {"train": multiclass(2)}, {})
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(DataError, match=problem):
        write_parts(tmp_path, {"train": images}, {})
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
