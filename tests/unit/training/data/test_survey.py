from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from mitorch_service.errors import DataError
from mitorch_service.training.data.splits import read_split
from mitorch_service.training.data.survey import Survey, survey
from tests.unit.training.pictures import png


def test_of_folders(tmp_path: Path) -> None:
    for name, count in (("cat", 3), ("owl", 1)):
        (tmp_path / name).mkdir()
        for number in range(count):
            (tmp_path / name / f"{number}.png").write_bytes(png("red", (40 + number, 30)))
    (tmp_path / "cat" / "damaged.png").write_bytes(b"no image")
    assert survey(read_split(tmp_path)) == Survey("multiclass", 5, ("cat", "owl"), (1, 4), 30, None)


def test_of_boxes_in_an_archive(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("1.png", png("red", (50, 60)))
    (tmp_path / "boxes.txt").write_text("0 0 0 10 10\n1 5 5 25 25\n1 5 5 45 45\n")
    (tmp_path / "train.txt").write_text("a.zip@1.png boxes.txt\n")
    found = survey(read_split(tmp_path / "train.txt"))
    assert (found.kind, found.per_class, found.shorter_side, found.box_side) == ("detection", (1, 2), 50, 20)


def test_images_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"no image can be read \(1 tried\)"):
        survey(read_split(tmp_path))
