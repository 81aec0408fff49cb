from __future__ import annotations

from pathlib import Path

import pytest

from mitorch_service.errors import DataError
from mitorch_service.training.data.file_checks import check_files
from mitorch_service.training.data.formats.registry import read_image_list
from tests.unit.training.pictures import png


def annotation(image: str, label: str = "cat") -> str:
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>4</xmax><ymax>4</ymax></bndbox>"
    return f"<annotation><filename>{image}</filename><object><name>{label}</name>{box}</object></annotation>"


def write(root: Path, xml: str, image: str, content: str | bytes | None = None) -> None:
    """An XML file in Annotations and an image in JPEGImages."""
    content = content or annotation(Path(image).name)
    for path, data in (("Annotations/" + xml, content), ("JPEGImages/" + image, png("red"))):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data if isinstance(data, bytes) else data.encode())


@pytest.mark.parametrize("at", [".", "Annotations"])
def test_files_in_folders_and_in_capitals(tmp_path: Path, at: str, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, "a.XML", "a.png")
    write(tmp_path, "day/b.xml", "day/b.png")
    write(tmp_path, "night/b.xml", "night/b.png")
    write(tmp_path, "night/c.xml", "c.png")
    found = read_image_list(tmp_path / at)
    assert list(found.images) == ["a.png", "day/b.png", "night/b.png", "c.png"]
    check_files(found)
    assert caplog.messages == []


def test_only_folders_and_capitals(tmp_path: Path) -> None:
    write(tmp_path, "day/b.Xml", "day/b.png")
    assert list(read_image_list(tmp_path).images) == ["day/b.png"]


def test_what_is_left_out_is_counted_with_its_reason(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, "a.xml", "a.png")
    write(tmp_path, "._a.xml", "deep/b.png")
    write(tmp_path, "notes.json", "c.JPG")
    assert list(read_image_list(tmp_path, "pets").images) == ["a.png"]
    without = "an image without an XML file: one that shows nothing needs one without an <object>"
    assert sorted(caplog.messages) == [
        "pets: 1 left out (hidden); the first is Annotations/._a.xml",
        "pets: 1 left out (neither .xml nor the extension of an image); the first is Annotations/notes.json",
        f"pets: 2 left out ({without}); the first is JPEGImages/c.JPG",
    ]


def test_names_that_a_list_marks_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, "a.XML", "a.png")
    write(tmp_path, "b.xml", "b.png")
    split = tmp_path / "ImageSets" / "Main" / "cat_train.txt"
    split.parent.mkdir(parents=True)
    split.write_text("a 1\nb -1\n")
    assert list(read_image_list(split, "cats").images) == ["a.png"]
    assert caplog.messages == ["cats: 1 left out (marked -1 in the list); the first is b"]


@pytest.mark.parametrize("encoding", ["gb2312", "GBK", "gb18030", "big5", "shift_jis", "euc-kr", "utf-16", "latin-1"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    label = {"shift_jis": "犬", "euc-kr": "개", "latin-1": "é", "big5": "國"}.get(encoding, "狗")
    text = f'<?xml version="1.0" encoding="{encoding}"?>\n{annotation("a.png", label)}'
    write(tmp_path, "a.xml", "a.png", text.encode(encoding))
    assert read_image_list(tmp_path).classes == (label,)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'<?xml version="1.0" encoding="gbk"?><annotation>\xff\xff</annotation>', "illegal multibyte sequence"),
        (b'<?xml version="1.0" encoding="klingon"?><annotation/>', "unknown encoding: klingon"),
        (b'<?xml version="1.0" encoding="hex"?><annotation/>', "not a text encoding"),
        (b"<annotation>\xb9\xb7</annotation>", "not well-formed"),
    ],
)
def test_what_cannot_be_decoded_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    write(tmp_path, "a.xml", "a.png", content)
    with pytest.raises(DataError, match=rf"a\.xml: cannot be read as XML \(.*{message}"):
        read_image_list(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_that_unfold_without_end_are_refused(tmp_path: Path, encoding: str) -> None:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 9))
    text = f'<!DOCTYPE annotation [<!ENTITY e0 "{"x" * 1000}">{entities}]>{annotation("&e8;.png")}'
    write(tmp_path, "a.xml", "a.png", text.encode(encoding))
    with pytest.raises(DataError, match=r"cannot be read as XML .*declares entities"):
        read_image_list(tmp_path)
