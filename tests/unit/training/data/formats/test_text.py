from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from mitorch_service.errors import DataError
from mitorch_service.training.data.formats import box_files
from mitorch_service.training.data.formats.registry import read_image_list
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.data.targets import Boxes


def read(folder: Path, text: str | bytes, labels: str | None = "cat\ndog\n") -> ImageList:
    if labels is not None:
        (folder / "labels.txt").write_text(labels)
    content = text if isinstance(text, bytes) else text.encode()
    (folder / "train.txt").write_bytes(content)
    return read_image_list(folder / "train.txt", "pets train")


def test_reads_images_labels_and_class_names(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("cat\nblack dog\n")
    (tmp_path / "train.txt").write_bytes(b"\xef\xbb\xbfa.png 1\r\n\r\nmy pictures/b c.png  0\r\nx.zip@d e.png 1")
    images = read_image_list(tmp_path / "train.txt")
    assert list(images.images) == ["a.png", "my pictures/b c.png", "x.zip@d e.png"]
    assert images.kind == "multiclass"
    assert [images.target(index) for index in range(3)] == [1, 0, 1]
    assert images.classes == ("cat", "black dog")
    assert images.classes_named
    assert images.location(0).path == tmp_path / "a.png"
    assert images.location(2).path == tmp_path / "x.zip"
    assert images.location(2).entry == "d e.png"
    assert images.name == str(tmp_path / "train.txt")


def test_makes_up_class_names_without_labels_txt(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("a.png 0\nb.png 2\n")
    images = read_image_list(tmp_path / "train.txt")
    assert images.classes == ("class_0", "class_1", "class_2")
    assert not images.classes_named


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no image"),
        ("\n  \n", "names no image"),
        ("a.png 0\na.png\n", "line 2: 'a.png' is not '<image> <label id>'"),
        ("a.png cat\n", "line 1: label 'cat' is not a whole number"),
        ("a.png 1.5\n", "line 1: label '1.5' is not a whole number"),
        ("a.png -1\n", "line 1: label -1 is negative"),
        ("a.png 0\n\nb.png 2\n", "line 3: label 2 is beyond labels.txt, which names 2 classes (0 to 1)"),
        ("a.png 0\nb.png 0,2\n", "line 2: label 2 is beyond labels.txt"),
        ("a.png boxes/a.txt\n", "line 1: the box file"),
        ("a.png boxes.zip@a.txt\n", "boxes.zip@a.txt is missing"),
        ("a.png 0\nb.png b.txt\n", "line 2: 'b.txt' is a box file; the lines before it have class ids"),
        ('"a b.png 0\n', "is not '<image> <label id>'"),
        (b"\x89PNG\r\n\x1a\n\x00\xff", "is not a UTF-8 text file"),
    ],
)
def test_refuses_with_the_line(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith("pets train")
    assert message in str(caught.value)


def test_a_huge_label_without_names_is_a_slip(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 1: label 20201130 is too large"):
        read(tmp_path, "a.png 20201130\n", labels=None)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("", r"labels\.txt: is empty"),
        ("cat\n\ndog\n", "line 2: is empty"),
        ("a\nb\na \n", "line 3: 'a' is the name of line 1, too"),
    ],
)
def test_refuses_a_bad_labels_txt(tmp_path: Path, labels: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, "a.png 0\n", labels)


def test_says_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be read \(No such file"):
        read_image_list(tmp_path / "absent.txt")
    with pytest.raises(DataError, match=r"the folder holds no data set\. Looked for Annotations"):
        read_image_list(tmp_path)


def test_several_labels_make_a_multilabel_set(tmp_path: Path) -> None:
    images = read(tmp_path, "a.png 1\nb.png 1,0\nc.png 0,\nd.png 1,1\n")
    assert images.kind == "multilabel"
    assert [images.target(index) for index in range(4)] == [(1,), (0, 1), (0,), (1,)]
    assert images.targets.images_per_class() == {0: 2, 1: 3}


def test_quotes_hold_paths_with_spaces(tmp_path: Path) -> None:
    (tmp_path / "box files").mkdir()
    (tmp_path / "box files" / "a b.txt").write_text("1 0 0 2 2\n")
    text = '"my pictures/a b.png" "box files/a b.txt"\nno space.png "box files/a b.txt"\n'
    images = read(tmp_path, text)
    assert list(images.images) == ["my pictures/a b.png", "no space.png"]
    assert list(read(tmp_path, '"a b.png" 1\n').images) == ["a b.png"]


def test_reads_files_of_boxes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.txt").write_text("1 1 2 3.5 4\n\n0 5 5 4 6\n1 2 2 2 8\n0 -3 1 4 4\n")
    with zipfile.ZipFile(tmp_path / "boxes.zip", "w") as archive:
        archive.writestr("deep/b.txt", "0 0 0 9 9\n")
        archive.writestr("clean.txt", "")
    images = read(tmp_path, "a.png a.txt\nb.png boxes.zip@deep/b.txt\nc.png boxes.zip@clean.txt\n")
    assert images.kind == "detection"
    assert boxes_of(images, 0) == [(1, [1, 2, 3.5, 4]), (0, [0, 1, 4, 4])]
    assert boxes_of(images, 1) == [(0, [0, 0, 9, 9])]
    assert boxes_of(images, 2) == []
    assert [message.removeprefix("pets train: ") for message in caplog.messages] == [
        "1 box is inverted (the minimum is beyond the maximum) and left out; the first is 5, 5, 4, 6",
        "1 box is empty (no width or no height) and left out; the first is 2, 2, 2, 8",
        "1 box is cut off at the edge of the image; the first is -3, 1, 4, 4",
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 2 3 4", "train.txt: a.txt, line 2: '1 2 3 4' is not '<class id> x_min y_min x_max y_max'"),
        ("x 1 2 3 4", "is not '<class id>"),
        ("2 1 2 3 4", "a.txt, line 2: class 2 is not one of the 2 classes"),
        ("-1 1 2 3 4", "class -1 is not one of the 2 classes"),
    ],
)
def test_refuses_a_bad_line_of_boxes(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "a.txt").write_text(f"0 1 1 2 2\n{line}\n")
    with pytest.raises(DataError) as caught:
        read(tmp_path, "a.png a.txt\n")
    assert message.replace("train.txt", "pets train, line 1") in str(caught.value)


@pytest.mark.parametrize("first", ["0 1 1 2 2", "0 3 3 2 2"])  # the second is inverted: then boxes are looked at singly
def test_a_file_of_boxes_that_is_cut(tmp_path: Path, first: str) -> None:
    (tmp_path / "a.txt").write_text(f"{first}\n0 1 1 2")
    with pytest.raises(DataError, match=r"^pets train, line 1: a\.txt, line 2: '0 1 1 2' is not '<class id>"):
        read(tmp_path, "a.png a.txt\n")


def test_a_file_too_large_for_boxes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(box_files, "_MOST_BYTES", 100)
    (tmp_path / "a.txt").write_text("0 1 1 2 2\n" * 11)
    with zipfile.ZipFile(tmp_path / "boxes.zip", "w") as archive:
        archive.write(tmp_path / "a.txt", "a.txt")
    for name in ("a.txt", "boxes.zip@a.txt"):
        with pytest.raises(DataError, match=r"a\.txt cannot be read \(more than 64 MiB: no boxes of one image\)"):
            read(tmp_path, f"a.png {name}\n")


def test_many_files_of_boxes_are_read_as_few_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = 60
    for number in range(count):
        inverted = "0 9 9 8 8\n" * (number == 50)
        (tmp_path / f"{number}.txt").write_text(f"{number % 2} 0 0 1.5 {number + 1}\n{inverted}" * (number % 3))
    with zipfile.ZipFile(tmp_path / "boxes.zip", "w") as archive:
        archive.writestr("clean.txt", "")
    lines = [f"{number}.png {number}.txt\n" for number in range(count)]
    lines[44] = "44.png boxes.zip@clean.txt\n\n"
    few = read(tmp_path, "".join(lines))
    monkeypatch.setattr(box_files, "FILES_PER_CALL", 2)
    many = read(tmp_path, "".join(lines))
    assert list(many.images) == list(few.images) == [f"{number}.png" for number in range(count)]
    assert [boxes_of(many, index) for index in range(count)] == [boxes_of(few, index) for index in range(count)]
    assert boxes_of(many, 50) == [(0, [0, 0, 1.5, 51])] * 2
    assert boxes_of(many, 44) == []
    (tmp_path / "55.txt").write_text("0 1 2 3\n")
    with pytest.raises(DataError, match=r"^pets train, line 57: 55\.txt, line 1: '0 1 2 3' is not"):
        read(tmp_path, "".join(lines))


def boxes_of(images: ImageList, index: int) -> list[tuple[int, list[float]]]:
    target = images.target(index)
    assert isinstance(target, Boxes)
    return list(zip(target.labels.tolist(), target.boxes.tolist(), strict=True))


def test_a_line_is_repeated_to_be_seen_more_often(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("0 1 2 3 4\n")
    (tmp_path / "train.txt").write_text("a.png a.txt\nb.png a.txt\na.png a.txt\n")
    found = read_image_list(tmp_path / "train.txt")
    assert list(found.images) == ["a.png", "b.png", "a.png"]
    shown = [found.target(index) for index in range(3)]
    assert [one.boxes.tolist() for one in shown if isinstance(one, Boxes)] == [[[1, 2, 3, 4]]] * 3
