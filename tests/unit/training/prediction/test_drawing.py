"""Pictures of predictions: large enough, in colours of the classes, none over another."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from mitorch_service.annotations.annotated_image import AnnotatedImage, Box, Label
from mitorch_service.training.plots.canvas import COLOURS
from mitorch_service.training.prediction.drawing import _Names, draw, drawn
from tests.hostile_names import HOSTILE_NAMES

_COLOURS = {"cat": "#ff0000", "a dog": "#0000ff"}


@pytest.mark.parametrize(("size", "longer"), [((16, 8), 480), ((600, 500), 600), ((30, 4000), 1600)])
def test_boxes_are_drawn_where_they_are(size: tuple[int, int], longer: int) -> None:
    width, height = size
    box = Box("cat", width / 4, height / 2, width, height, 0.5)
    made = draw(Image.new("RGB", size, "white"), AnnotatedImage("a", width, height, (box,)), _COLOURS)
    assert max(made.size) == longer
    red = made.getpixel((round(made.width / 4) + 1, round(made.height * 0.75)))
    assert isinstance(red, tuple)
    assert red[0] > 200
    assert red[1] < 50
    assert made.getpixel((0, made.height - 1)) == (255, 255, 255)


def test_a_picture_decoded_smaller_has_its_boxes_in_place() -> None:
    box = Box("a dog", 0, 0, 50, 100, 0.5)
    made = draw(Image.new("RGB", (50, 50), "white"), AnnotatedImage("a", 100, 100, (box,)), _COLOURS)
    assert made.getpixel((239, 400)) == (0, 0, 255)
    assert made.getpixel((245, 400)) == (255, 255, 255)


def test_labels_are_on_a_bar_above() -> None:
    image = AnnotatedImage("a", 500, 500, (), (Label("cat", 0.75), Label("a dog", 0.25)))
    one = draw(Image.new("RGB", (500, 500), "black"), image, _COLOURS)
    nothing = draw(Image.new("RGB", (500, 500), "black"), AnnotatedImage("a", 500, 500), _COLOURS)
    assert one.width == 500
    assert one.height - 500 == 2 * (nothing.height - 500) > 30
    assert one.getpixel((0, one.height - 501)) == (255, 255, 255)
    assert one.getpixel((0, one.height - 500)) == (0, 0, 0)


def test_each_image_has_a_picture_below_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = ("in/a.png", "in/a.bmp", "../outside.png", str(tmp_path / "whole.png"))
    (tmp_path / "work" / "in").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    for name in names:
        Image.new("RGB", (20, 10), "white").save(name)
    images = [AnnotatedImage(name, 20, 10, (), (Label("cat", 1.0),)) for name in names]
    assert list(drawn(images, ["cat"], Path("out"))) == images
    found = sorted(path.relative_to("out").as_posix() for path in Path("out").rglob("*.jpg"))
    assert found == sorted(["in/a.jpg", "in/a-2.jpg", "outside.jpg", f"{tmp_path}/whole.jpg".lstrip("/")])
    assert COLOURS[0]


def test_any_name_gives_a_picture_in_the_folder() -> None:
    names = _Names()
    for name in HOSTILE_NAMES:
        path = names.of(f"{name}.png")
        assert not path.is_absolute() and ".." not in path.parts
