"""Pipes, devices, names that no file can have and numbers without end: each is a DataError with the place."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mitorch_service.errors import DataError
from mitorch_service.training.data.duplicates import find_duplicates
from mitorch_service.training.data.file_checks import check_files
from mitorch_service.training.data.formats.registry import read_image_list
from tests.unit.training.pictures import png


@pytest.mark.parametrize("name", ["t.txt", "t.csv", "t.json"])
def test_a_pipe_is_no_data_set(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match=r"cannot be read \(a pipe, not a file\)"):
        read_image_list(tmp_path / name)


def test_a_device_is_no_data_set() -> None:
    with pytest.raises(DataError, match=r"/dev/zero: cannot be read \(a device, not a file\)"):
        read_image_list(Path("/dev/zero"))


@pytest.mark.parametrize("pipe", ["labels.txt", "a.txt", "x.zip", "Annotations/a.xml"])
def test_a_pipe_within_a_data_set(tmp_path: Path, pipe: str) -> None:
    (tmp_path / "t.txt").write_text("a.png a.txt\nx.zip@b.png a.txt\n")
    if pipe != "a.txt":
        (tmp_path / "a.txt").write_text("0 0 0 1 1\n")
    (tmp_path / "a.png").write_bytes(png("red"))
    (tmp_path / pipe).parent.mkdir(exist_ok=True)
    os.mkfifo(tmp_path / pipe)
    with pytest.raises(DataError, match=rf"{pipe}.* cannot be read .*a pipe, not a file"):
        check_files(read_image_list(tmp_path if pipe.endswith("xml") else tmp_path / "t.txt"))


def test_copies_are_not_looked_for_in_pipes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        os.mkfifo(tmp_path / f"{name}.png")
        (tmp_path / f"{name}.txt").write_text(f"{name}.png 0\n")
    found = find_duplicates(*(read_image_list(tmp_path / f"{name}.txt") for name in ("a", "b")))
    assert (found.by_path, found.by_content) == ([], [])


@pytest.mark.parametrize("name", ["a\0.png", "n" * 300 + ".png", "d" * 5000 + "/a.png", "x\0.zip@a.png"])
def test_names_that_no_file_can_have(tmp_path: Path, name: str) -> None:
    (tmp_path / "t.txt").write_text(f"{name} 0\n")
    (tmp_path / "t.csv").write_text(f"image,x1,y1,x2,y2,class\n{name},1,2,3,4,cat\n")
    (tmp_path / "t.json").write_text(
        json.dumps({"images": [{"id": 1, "file_name": name}], "annotations": [], "categories": []})
    )
    (tmp_path / "b.txt").write_text(f"b.png {name.replace('.png', '.txt')}\n")
    for file in ("t.txt", "t.csv", "t.json"):
        images = read_image_list(tmp_path / file)
        with pytest.raises(DataError, match=r"is missing|cannot be read"):
            check_files(images)
    with pytest.raises(DataError, match=r"line 1: the box file .* (cannot be read|is missing)"):
        read_image_list(tmp_path / "b.txt")


@pytest.mark.parametrize("name", ["a\0", "n" * 300, "n" * 300 + ".csv", "a\0.json", "d" * 5000 + "/t.txt"])
def test_a_data_set_of_such_a_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"cannot be read .*(a name that no file can have|File name too long)"):
        read_image_list(tmp_path / name)


@pytest.mark.parametrize("digits", [19, 400, 5000])
def test_numbers_without_end(tmp_path: Path, digits: int) -> None:
    huge = "9" * digits
    box = f"{{'type': 'x', 'bottomX': {huge}, 'topX': 1, 'bottomY': 1, 'topY': 2}}"
    texts = {
        "a.txt": (f"a.png {huge}\n", "line 1: a label has more than 18 digits"),
        "b.txt": (f"a.png 1,{huge}\n", "line 1: a label has more than 18 digits"),
        "c.txt": (f"a.png -{huge}\n", "line 1: label -9{19} is negative"),
        "d.txt": ("a.png boxes\\boxes\n", "line 1: boxes.boxes, line 1: "),
        "e.csv": (f'image_url,label\na.png,"[{box}]"\n', "line 2: (the label is not a list|.* is not a box)"),
    }
    (tmp_path / "boxes\\boxes").write_text(f"{huge} 1 2 3 4\n")
    for name, (text, message) in texts.items():
        (tmp_path / name).write_text(text)
        if name == "e.csv" and digits == 19:  # a number like any other
            continue
        with pytest.raises(DataError, match=message):
            read_image_list(tmp_path / name)


def test_a_hexadecimal_number_that_cannot_be_shown(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f'image_url,label\na.png,"[0x{"f" * 5000}]"\n')
    with pytest.raises(DataError, match=r"line 2: a number too large to be written is not a box"):
        read_image_list(tmp_path / "a.csv")


def test_what_is_quoted_is_cut(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x" * 1_000_000)
    with pytest.raises(DataError, match=r"line 1: 'x{119}… is not '<image> <label id>'"):
        read_image_list(tmp_path / "a.txt")
