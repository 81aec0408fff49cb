from __future__ import annotations

from pathlib import Path

import pytest

from mitorch_service.errors import DataError
from mitorch_service.training.dataset_text import read_image_list


def read(folder: Path, text: str | bytes, labels: str | None = "cat\ndog\n") -> object:
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
    assert list(images.labels) == [1, 0, 1]
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
        ("a.png 0\nb.png 0,1\n", "line 2: several labels ('0,1') make this a multilabel set"),
        ("a.png boxes/a.txt\n", "a file of boxes ('boxes/a.txt') makes this a detection set"),
        ("a.png boxes.zip@a.txt\n", "makes this a detection set"),
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


@pytest.mark.parametrize(("labels", "message"), [("", r"labels\.txt: is empty"), ("cat\n\ndog\n", "line 2: is empty")])
def test_refuses_a_bad_labels_txt(tmp_path: Path, labels: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, "a.png 0\n", labels)


def test_says_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be read \(No such file"):
        read_image_list(tmp_path / "absent.txt")
    with pytest.raises(DataError, match=r"cannot be read \(Is a directory"):
        read_image_list(tmp_path)
