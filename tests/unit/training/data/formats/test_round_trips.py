"""From any format to any other, and back: boxes to a hundredth of a pixel, names as they were."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mitorch_service.annotations.annotated_image import AnnotatedImage, Box, Label
from mitorch_service.annotations.writers.registry import FOLDERS, WRITERS, write_annotations
from mitorch_service.errors import DataError
from mitorch_service.training.data.annotated_images import annotated_images
from mitorch_service.training.data.class_names import ClassList
from mitorch_service.training.data.formats.registry import read_image_list
from tests.hostile_names import HOSTILE_CELLS, HOSTILE_NAMES
from tests.unit.training.pictures import png_head

SUFFIX = {"coco": ".json", "csv": ".csv", "cvat": ".xml"}
INSIDE = {"text": "images.txt"}

ODD = "ab '\"<>&,;:{}[]#@!|%*-=é犬\u0301\u00a0\u00ad\u2028\u200f\ufffd\ue000\U0001f600\U000e0001"
NAMES = st.text(st.sampled_from(ODD), min_size=1, max_size=8).filter(lambda name: name == name.strip())
STEMS = st.text(st.sampled_from("abc é犬',&;#%-"), min_size=1, max_size=5).filter(lambda name: name == name.strip())
SIDES = st.integers(1, 20_000)
SHARES = st.lists(st.floats(0, 1, width=32), min_size=4, max_size=4)
IMAGES = st.lists(
    st.tuples(STEMS, SIDES, SIDES, st.lists(st.tuples(SHARES, st.integers(0, 2)), max_size=3)),
    min_size=1,
    max_size=3,
    unique_by=lambda one: one[0],
)
Drawn = list[tuple[str, int, int, list[tuple[list[float], int]]]]


def as_images(drawn: Drawn, classes: Sequence[str]) -> list[AnnotatedImage]:
    images = []
    for number, (stem, width, height, boxes) in enumerate(drawn):
        found = []
        for (x, y, x_share, y_share), label in boxes:  # none is smaller than a hundredth of a pixel
            left, top = x * (width - 0.02), y * (height - 0.02)
            right, bottom = left + 0.02 + x_share * (width - left - 0.02), top + 0.02 + y_share * (height - top - 0.02)
            found.append(Box(classes[label % len(classes)], left, top, right, bottom))
        images.append(AnnotatedImage(f"{'day/' * (number % 2)}{stem}.png", width, height, tuple(found)))
    return images


def through(format: str, images: Sequence[AnnotatedImage], classes: Sequence[str], out: Path) -> list[AnnotatedImage]:
    """Writes the images, and reads them again."""
    shutil.rmtree(out, ignore_errors=True)
    path = out / f"set{SUFFIX.get(format, '')}"
    write_annotations(format, images, classes, path)
    if format == "yolo":  # whose labels are fractions of the images, which must be there
        for image in images:
            (path / "images" / image.path).parent.mkdir(parents=True, exist_ok=True)
            (path / "images" / image.path).write_bytes(png_head(image.width, image.height))
    path = path / INSIDE.get(format, ".") if format in FOLDERS else path
    found = read_image_list(path, classes=ClassList(tuple(classes), "the classes"))
    assert found.classes == tuple(classes)
    sizes = {image.path: (image.width, image.height) for image in images}
    back = []
    for image, _ in annotated_images(found, read_heads=False):
        name = image.path.removeprefix("images/") if format == "yolo" else image.path
        width, height = sizes[name]
        assert (image.width, image.height) in {(0, 0), (width, height)}  # some formats do not state it
        back.append(replace(image, path=name, width=width, height=height))
    return back


def assert_same(back: Sequence[AnnotatedImage], images: Sequence[AnnotatedImage]) -> None:
    ordered = {image.path: image for image in back}
    assert len(back) == len(images)
    for image in images:
        found = ordered[image.path]
        assert [box.class_name for box in found.boxes] == [box.class_name for box in image.boxes]
        assert found.labels == image.labels
        for box, other in zip(found.boxes, image.boxes, strict=True):
            for side in ("left", "top", "right", "bottom"):
                assert getattr(box, side) == pytest.approx(getattr(other, side), abs=0.01)


@pytest.mark.parametrize("first", WRITERS)
@given(names=st.lists(NAMES, min_size=1, max_size=3, unique=True), drawn=IMAGES, second=st.sampled_from([*WRITERS]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=12)
def test_boxes(first: str, names: list[str], drawn: Drawn, second: str, tmp_path: Path) -> None:
    images = as_images(drawn, names)
    back = through(first, images, names, tmp_path / "out")
    assert_same(back, images)
    assert_same(through(second, back, names, tmp_path / "out"), images)


@pytest.mark.parametrize("format", ["cvat", "text", "csv"])
def test_one_class_each(format: str, tmp_path: Path) -> None:
    images = [AnnotatedImage(f"{name}.png", 4, 4, labels=(Label(name),)) for name in ("a, b", "<b>", "a, b c")]
    classes = ["a, b", "<b>", "a, b c"]
    assert_same(through(format, images, classes, tmp_path / "out"), images)


@pytest.mark.parametrize("format", ["cvat", "text"])
def test_several_classes_each(format: str, tmp_path: Path) -> None:
    labels = [("a",), ("a", "b"), ("b", "c")]
    images = [AnnotatedImage(f"{n}.png", 4, 4, labels=tuple(map(Label, one))) for n, one in enumerate(labels)]
    assert_same(through(format, images, ["a", "b", "c"], tmp_path / "out"), images)


EVERY = tuple(dict.fromkeys((*HOSTILE_NAMES, *HOSTILE_CELLS)))
SAFE = ("..", "a,b", "=1+1", "-1", "@x", "a\u2028b", "\u202ex", "n" * 5000)  # as names of classes, in every format
QUOTED = (*SAFE, 'a"b', 'a,"b"\nc', "a\rb", "a\r\nb", "a\nb", "\x1b[31mx", "a\x85b", '=HYPERLINK("http://x")')
ESCAPED = (*(name for name in EVERY if name != "\ud800"),)
HELD = {"coco": ESCAPED, "csv": QUOTED}


@pytest.mark.parametrize("format", WRITERS)
def test_a_hostile_name_of_a_class_comes_back_or_is_refused(format: str, tmp_path: Path) -> None:
    """Nothing is put before what a spreadsheet would take for a formula: programs read it again."""
    refused = set()
    for number, name in enumerate(EVERY):
        images = [AnnotatedImage("a.png", 8, 8, (Box(name, 0, 0, 4, 4),)), AnnotatedImage("b.png", 8, 8)]
        out = tmp_path / str(number)
        try:
            back = through(format, images, ("cat", name), out)
        except DataError as error:
            assert ascii(name)[1:-1][:50] in ascii(str(error)).replace("\\\\", "\\"), error
            assert str(error).endswith("Rename it.") and not [*out.rglob("*")]
            refused.add(name)
        else:
            assert_same(back, images)
    assert not refused & set(HELD.get(format, SAFE)), refused


@pytest.mark.parametrize("format", ["coco", "csv", "cvat"])
def test_a_hostile_name_of_an_image_comes_back_or_is_refused(format: str, tmp_path: Path) -> None:
    refused = set()
    for number, name in enumerate(EVERY):
        images = [AnnotatedImage(name, 8, 8, (Box("cat", 0, 0, 4, 4),)), AnnotatedImage("b.png", 8, 8)]
        out = tmp_path / str(number)
        try:
            back = through(format, images, ("cat",), out)
        except DataError as error:
            assert str(error).endswith("Rename the file.") and not [*out.rglob("*")]
            refused.add(name)
        else:
            assert_same(back, images)
    held = (name for name in HELD.get(format, SAFE) if "\0" not in name)
    assert not refused & set(held), refused


@pytest.mark.parametrize("format", WRITERS)
def test_names_of_images_that_every_format_holds(format: str, tmp_path: Path) -> None:
    for name in ("=1+1", "@x", "-rf", "a,b", "a\u2028b", "\u202ex", "~"):
        images = [AnnotatedImage(f"{name}.png", 8, 8, (Box("cat", 0, 0, 4, 4),))]
        assert_same(through(format, images, ("cat",), tmp_path), images)
