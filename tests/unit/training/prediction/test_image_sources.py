"""Images are found however people name them, and need no labels."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from mitorch_service.errors import DataError
from mitorch_service.training.prediction.class_source import read_class_names
from mitorch_service.training.prediction.image_sources import find_images, without_repetition
from tests.unit.training.pictures import png
from tests.unit.training.shapes import draw_shapes, write_detection


def _write(path: Path, content: bytes | str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_a_file_is_itself_whatever_its_name(tmp_path: Path) -> None:
    assert list(find_images(str(_write(tmp_path / "picture")))) == [str(tmp_path / "picture")]


def test_a_folder_gives_the_images_at_any_depth(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("b/deep/2.png", "a.JPG", "notes.txt", ".hidden.png"):
        _write(tmp_path / name)
    assert list(find_images(str(tmp_path))) == [str(tmp_path / "a.JPG"), str(tmp_path / "b/deep/2.png")]
    assert "1 left out (not the extension of an image); the first is notes.txt" in caplog.text
    with pytest.raises(DataError, match="holds no image, at any depth"):
        list(find_images(str(_write(tmp_path / "c" / "a.txt").parent)))


def test_an_archive_gives_its_images_and_an_entry_itself(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for name in ("in/1.png", "annotations.xml", "__MACOSX/in/1.png"):
            archive.writestr(name, png("red"))
    path = str(tmp_path / "photos.zip")
    assert list(find_images(path)) == [f"{path}@in/1.png"]
    assert list(find_images(f"{path}@in/1.png")) == [f"{path}@in/1.png"]
    _write(tmp_path / "broken.zip", "no archive")
    with pytest.raises(DataError, match="cannot be read"):
        list(find_images(str(tmp_path / "broken.zip")))


@pytest.mark.parametrize(
    "line",
    ["a b.png", '"a b.png"', "a b.png 3", '"a b.png" 0,2', "a b.png boxes/a.txt", "a b.png cat", "a b.png   "],
)
def test_a_text_file_gives_its_images_with_labels_or_without(tmp_path: Path, line: str) -> None:
    text = _write(tmp_path / "set" / "list.txt", f"\n{line}\nphotos.zip@b.png 1\n")
    assert list(find_images(str(text))) == [str(tmp_path / "set/a b.png"), f"{tmp_path}/set/photos.zip@b.png"]


def test_other_formats_give_the_images_that_they_list(tmp_path: Path) -> None:
    _write(tmp_path / "images" / "1.png", png("red"))
    images = [{"id": 1, "file_name": "1.png"}, {"id": 2, "file_name": "gone.png"}]
    coco = _write(tmp_path / "coco.json", json.dumps({"images": images, "annotations": [], "categories": []}))
    folder = tmp_path / "images"
    assert list(find_images(str(coco))) == [str(folder / "1.png"), str(folder / "gone.png")]
    unlabelled = _write(tmp_path / "info.json", json.dumps({"images": images}))
    assert list(find_images(str(unlabelled))) == [str(folder / "1.png"), str(folder / "gone.png")]
    boxes = _write(tmp_path / "boxes.csv", "filename,class,xmin,ymin,xmax,ymax\nimages/1.png,cat,0,0,5,5\n")
    assert list(find_images(str(boxes))) == [str(tmp_path / "images/1.png")]


def test_what_is_named_twice_is_predicted_once() -> None:
    assert list(without_repetition(["b", "a", "b"])) == ["b", "a"]


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file or folder"):
        list(find_images(str(tmp_path / "gone")))
    with pytest.raises(DataError, match="names no image"):
        list(find_images(str(_write(tmp_path / "empty.txt", "\n"))))


def test_classes_of_a_list_or_of_a_data_set(tmp_path: Path) -> None:
    text = write_detection(tmp_path / "set", draw_shapes(1))
    assert read_class_names(text) == read_class_names(text.parent / "labels.txt") == ("disc", "square", "triangle")
    assert read_class_names(_write(tmp_path / "classes.txt", "traffic light 2\ndog\n")) == ("traffic light 2", "dog")
    numbered = _write(tmp_path / "numbered.csv", "filename,label\n1.png,cat\n2.png,dog\n")
    assert read_class_names(numbered) == ("cat", "dog")
    with pytest.raises(DataError, match="there is no such file"):
        read_class_names(tmp_path / "gone.txt")
