from __future__ import annotations

from array import array
from collections import Counter
from pathlib import Path

import pytest

from mitorch_service.errors import DataError
from mitorch_service.training.data.holdout import hold_out, write_split
from mitorch_service.training.data.image_list import ImageList, PackedStrings
from mitorch_service.training.data.splits import read_held_out, read_splits
from mitorch_service.training.data.targets import ClassSetTargets, ClassTargets
from tests.unit.training.pictures import png


def image_list(*counts: int) -> ImageList:
    """A set with this number of images of each class."""
    labels = array("i", (label for label, count in enumerate(counts) for _ in range(count)))
    names = PackedStrings(f"{label}/{index}.png" for index, label in enumerate(labels))
    return ImageList("photos", Path("/photos"), names, ClassTargets(labels), tuple(map(str, range(len(counts)))))


@pytest.mark.parametrize(
    ("fraction", "held"), [(0.2, [20, 2, 1, 1, 0]), (0.001, [1, 1, 1, 1, 0]), (0.99, [99, 9, 2, 1, 0])]
)
def test_of_each_class_the_same_part_and_one_at_least(fraction: float, held: list[int]) -> None:
    images = image_list(100, 10, 3, 2, 1)
    train, val = hold_out(images, fraction, 7)
    counts = [Counter(split.targets.images_per_class()) for split in (train, val)]
    assert [counts[1][label] for label in range(5)] == held
    assert sorted([*train.images, *val.images]) == sorted(images.images)
    assert all(
        f"{split.target(index)}/" in split.images[index] for split in (train, val) for index in range(len(split))
    )


def test_the_seed_chooses(tmp_path: Path) -> None:
    images = image_list(30, 30)
    first, again, other = (list(hold_out(images, 0.3, seed)[1].images) for seed in (1, 1, 2))
    assert first == again != other


def test_sets_without_one_class_per_image_are_refused() -> None:
    images = ImageList("tags", Path(), PackedStrings(["a"]), ClassSetTargets([[0]]), ("cat",))
    with pytest.raises(DataError, match="multilabel set, of which no images can be held out"):
        hold_out(images, 0.2, 0)
    with pytest.raises(DataError, match="one image of each class"):
        hold_out(image_list(1, 1), 0.2, 0)


def test_what_is_written_is_read_as_the_same_split(tmp_path: Path) -> None:
    for name in ("cat", "big owl"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(4):
            (tmp_path / "photos" / name / f"an image {number}.png").write_bytes(png("red", (9 + number, 8 + len(name))))
    splits = read_held_out(tmp_path / "photos", 0.25, 0)
    write_split(tmp_path / "w.split", **splits)
    again = read_splits({name: tmp_path / "w.split" / f"{name}.txt" for name in splits})
    for name, images in splits.items():
        assert again[name].classes == images.classes == ("big owl", "cat")
        found = [(again[name].location(index), again[name].target(index)) for index in range(len(images))]
        assert found == [(images.location(index), images.target(index)) for index in range(len(images))]
    assert [len(images) for images in splits.values()] == [6, 2]


@pytest.mark.parametrize(("name", "label"), [("a.png", "b\nc"), ("a\nb.png", "b"), ('"a.png', "b")])
def test_names_that_would_be_read_otherwise_are_refused(tmp_path: Path, name: str, label: str) -> None:
    images = ImageList("photos", tmp_path, PackedStrings([name]), ClassTargets(array("i", [0])), (label,))
    with pytest.raises(DataError, match=r"cannot hold\. Rename"):
        write_split(tmp_path / "out", train=images)
    assert not (tmp_path / "out").exists()
