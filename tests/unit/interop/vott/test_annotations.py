"""Annotation files: their rows, the two ways of writing boxes, and the data sets that they become."""

from __future__ import annotations

import os
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from mitorch_service.errors import InvalidInput
from mitorch_service.interop.vott.annotations.annotated_set import AnnotatedSet
from mitorch_service.interop.vott.annotations.box_format import FormatEvidence
from mitorch_service.interop.vott.annotations.holding_out import held_out
from mitorch_service.interop.vott.annotations.rows import read_layout, read_rows
from mitorch_service.interop.vott.web.exchange import Unavailable, Web
from mitorch_service.interop.vott.web.web_address import web_address
from mitorch_service.training.data.splits import read_split
from tests.unit.interop.vott.conftest import annotated_sets
from tests.vott_host import Host


def rows(folder: Path, text: str) -> list[Any]:
    file = folder / "a.csv"
    file.write_text(text, encoding="utf-8")
    return list(read_rows(file, "the file", read_layout(file, "the file")))


def test_rows_with_and_without_a_header(tmp_path: Path) -> None:
    plain = rows(tmp_path, "https://h/a.jpg,1,2,3.5,4,cat\nhttps://h/b.jpg,,,,,\n\nhttps://h/c.jpg\n")
    assert [(row.line, row.address, row.label, row.numbers) for row in plain] == [
        (1, "https://h/a.jpg", "cat", (1.0, 2.0, 3.5, 4.0)),
        (2, "https://h/b.jpg", "", (0.0, 0.0, 0.0, 0.0)),
        (4, "https://h/c.jpg", "", (0.0, 0.0, 0.0, 0.0)),
    ]
    headed = rows(tmp_path, "\ufeffclass,url,X,y,w,h\ncat,https://h/a.jpg,1,2,3,4\n")
    assert [(row.line, row.label, row.numbers) for row in headed] == [(2, "cat", (1.0, 2.0, 3.0, 4.0))]
    file = tmp_path / "a.csv"
    assert read_layout(file, "the file").box_format == "size"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty"),
        ("a,b,c\n1,2,3\n", "line 1: the first line ('a,b,c') is neither a header"),
        ("file:///etc/passwd,1,2,3,4,cat\n", "'file:///etc/passwd,1,2,3,4,cat' has an image that begins with"),
        ("https://h/a.jpg,1,2,3,cat\n", "line 1: 'https://h/a.jpg,1,2,3,cat' has 5 columns instead of 6"),
        ("https://h/a.jpg,1,2,3,4,c\nhttps://h/a.jpg,1,2,x,4,c\n", "line 2: 'https://h/a.jpg,1,2,x,4,c' does not have"),
        ("https://h/a.jpg,1,2,3,4,c\nhttps://h/a.jpg,1,2,nan,4,c\n", "does not have four numbers that are finite"),
        ("https://h/a.jpg,1,2,3,4,\n", "has a box without a class"),
        ("https://h/a.jpg,1,2,3,4,a\x07b\n", "has a class"),
    ],
)
def test_rows_that_are_wrong_are_told_with_their_line(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        rows(tmp_path, text)
    assert problem in str(caught.value)


def test_what_is_no_text_and_many_wrong_rows(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b"https://h/a.jpg,1,2,3,4,\xff\n")
    with pytest.raises(InvalidInput, match="is not text in UTF-8"):
        read_layout(file, "the file")
    with pytest.raises(InvalidInput) as caught:
        rows(tmp_path, "https://h/a.jpg,1,2,3,4,c\n" + "https://h/a.jpg?sig=hidden,x,2,3,4,c\n" * 5000)
    assert len(caught.value.problems) == 21 and "and 980 more" in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_the_two_ways_of_writing_boxes_are_told_apart() -> None:
    corners, sizes, either = FormatEvidence(), FormatEvidence(), FormatEvidence()
    for line in range(1, 30):
        corners.add(line, (50 + line, 40, 90, 60), 100, 80)
        sizes.add(line, (50 + line, 40, 10, 20), 100, 80)
        either.add(line, (1, 1, 20, 20), 100, 80)
    corners.add(99, (60, 60, 10, 10), 100, 80)  # one that is wrong
    assert corners.decide("f")[0] == "corners" and "29 of them" in corners.decide("f")[1]
    assert sizes.decide("f")[0] == "size" and "(lines 1, 2, 3)" in sizes.decide("f")[1]
    assert either.decide("f") == ("corners", "boxes are taken for x1,y1,x2,y2: nothing in the file says otherwise")
    for line in range(5):
        either.add(line, (50, 40, 90, 60), 100, 80)
        either.add(line + 100, (50, 40, 10, 20), 100, 80)
    with pytest.raises(InvalidInput, match='"box_format": "corners" or "size"'):
        either.decide("f")


def test_images_that_validate_are_always_the_same_and_leave_no_class_untrained() -> None:
    digests = [f"{number * 7919:08x}" for number in range(100)]
    classes = [(number % 3,) for number in range(100)]
    chosen, told = held_out(digests, classes)
    assert 5 <= len(chosen) <= 15 and told == f"{100 - len(chosen)} images to train, {len(chosen)} to validate"
    assert held_out([*digests, "ffffffff"], [*classes, (0,)])[0] == chosen
    assert held_out(["00000000"] * 3, [(0,), (1,), (1,)])[0] <= {1, 2}
    assert held_out(["00000001", "00000002"], [(0,), (1,)])[0] == {0, 1}


def test_one_image_is_never_left_to_train_alone() -> None:
    assert held_out(["00000000", "00000001"], [(0,), (0,)])[0] == {0, 1}  # both train and validate
    assert len(held_out(["00000000"] * 3, [(0,)] * 3)[0]) == 1


def test_a_single_image_is_refused_before_it_is_fetched(tmp_path: Path, web: Web, host: Host) -> None:
    address = host.add("a.csv", f"{host.add_image('a.png', 1)},1,1,9,9,cat\n")
    with pytest.raises(InvalidInput, match=r"names 1 image: too few .* Name 2 or more"):
        make(annotated_sets(tmp_path, web), address)
    assert not host.gets["/a.png"]


def make(sets: Any, address: str, **options: Any) -> AnnotatedSet:
    made = sets.make(web_address(address), options.get("box_format"))
    assert isinstance(made, AnnotatedSet)
    return made


def test_a_data_set_is_the_same_for_the_same_content(tmp_path: Path, web: Web, host: Host) -> None:
    urls = [host.add_image(f"{n}.png", n) for n in range(20)]
    text = "".join(f"{url},30,20,60,45,{'cat' if n % 2 else 'dog'}\n" for n, url in enumerate(urls))
    sets = annotated_sets(tmp_path, web)
    made = make(sets, host.add("a.csv", text + f"{host.add_image('empty.png', 99)},,,,,\n"))
    assert made.remarks[0].startswith("21 images with 20 boxes of 2 classes: ")
    assert "x1,y1,x2,y2: 20 of them" in made.remarks[1]
    assert make(sets, host.add("b.csv", text + f"{host.url('empty.png')},,,,,\n")).digest == made.digest
    train = read_split(made.splits["train"], "train", None, "train")
    val = read_split(made.splits["val"], "val", train, "val")
    assert list(train.classes) == ["cat", "dog"]
    assert len(train) + len(val) == 21 and len(val) >= 1
    assert all(host.gets[f"/{n}.png"] == 1 for n in range(20))
    sized = "".join(f"{url},30,20,30,25,{'cat' if n % 2 else 'dog'}\n" for n, url in enumerate(urls))
    same = make(sets, host.add("c.csv", sized + f"{host.url('empty.png')},,,,,\n"), box_format="size")
    assert same.digest == made.digest  # the same boxes, written in the other way
    assert not [path for path in (tmp_path / "sets").iterdir() if path.name.startswith(".")]


def test_what_killed_consumers_left_goes_after_a_week(tmp_path: Path, web: Web, host: Host) -> None:
    old, new = tmp_path / "sets" / ".1.part", tmp_path / "sets" / ".2.part"
    for part, age in ((old, 8), (new, 6)):
        part.mkdir(parents=True)
        os.utime(part, (time.time() - age * 86400,) * 2)
    rows = [f"{host.add_image(name, 1)},1,1,9,9,cat\n" for name in ("a.png", "b.png")]
    make(annotated_sets(tmp_path, web), host.add("a.csv", "".join(rows)))
    assert new.exists() and not old.exists()


def test_boxes_with_a_size_become_corners(tmp_path: Path, web: Web, host: Host) -> None:
    url, other = host.add_image("a.png", 1), host.add_image("b.png", 2)
    made = make(annotated_sets(tmp_path, web), host.add("a.csv", f"{url},30,20,10,5,cat\n{other},,,,,\n"))
    assert made.splits["train"].read_text().splitlines()[1].endswith(".png,30.0,20.0,40.0,25.0,cat")
    assert "x,y,width,height: 1 of them can be nothing else (lines 1)" in made.remarks[1]
    assert "too few images to hold any out" in made.remarks[0]


def test_limits(tmp_path: Path, web: Web, host: Host) -> None:
    urls = [host.add_image(f"{n}.png", n) for n in range(4)]
    address = host.add("a.csv", "".join(f"{url},1,1,9,9,cat\n" for url in urls))
    with pytest.raises(InvalidInput, match="names 4 images; at most 3 are fetched"):
        make(annotated_sets(tmp_path, web, images=3), address)
    assert not host.gets["/0.png"]
    with pytest.raises(InvalidInput, match="MITORCH_VOTT_MAX_TOTAL_GB"):
        make(annotated_sets(tmp_path, web, total_bytes=100), address)
    with pytest.raises(InvalidInput, match="no row has a box"):
        make(annotated_sets(tmp_path, web), host.add("b.csv", f"{urls[0]},,,,,\n{urls[1]},,,,,\n"))


def test_images_that_are_missing_are_told_and_those_that_do_not_come_are_asked_for_again(
    tmp_path: Path, web: Web, host: Host
) -> None:
    text = "".join(f"{host.url(f'gone{n}.png')},1,1,9,9,cat\n" for n in range(9))
    with pytest.raises(InvalidInput) as caught:
        make(annotated_sets(tmp_path, web), host.add("a.csv", text))
    assert str(caught.value).count("HTTP 404") == 3 and str(caught.value).endswith("and more")
    rows = [f"{host.add_image(name)},1,1,9,9,cat\n" for name in ("b.png", "c.png")]
    host.statuses["/b.png"] = 500
    with pytest.raises(Unavailable, match="HTTP 500"):
        make(annotated_sets(tmp_path, web), host.add("a.csv", "".join(rows)))
    assert not [path for path in (tmp_path / "sets").iterdir() if path.name.startswith(".")]


def test_a_long_file_is_read_in_bounded_memory(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    with file.open("w") as opened:
        opened.writelines(f"https://host/{n % 10}.jpg,1,2,30,40,cat\n" for n in range(5000))
    tracemalloc.start()
    count = sum(1 for _ in read_rows(file, "f", read_layout(file, "f")))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 5000 and peak < 200_000  # the file has as many
