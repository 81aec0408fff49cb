"""Predictions of models on the images of a data set, put together; models that do not fit are refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from mitorch_service.annotations.annotated_image import AnnotatedImage, Box, Label
from mitorch_service.errors import DataError
from mitorch_service.training.data.formats.registry import read_image_list
from mitorch_service.training.data.image_list import ImageList, PackedStrings
from mitorch_service.training.suspects.ranking import Readings
from mitorch_service.training.suspects.suspect_sheet import describe, draw_suspects
from tests.unit.training.pictures import write_colors
from tests.unit.training.shapes import draw_shapes, write_detection


@dataclass(frozen=True)
class Oracle:
    """A model that knows the truth about most images, by the names of their files."""

    classes: tuple[str, ...]
    kind: str
    says: Callable[[str], tuple[tuple[Label, ...], tuple[Box, ...]]]
    cannot_read: str = "no such file"

    def stream(
        self,
        paths: PackedStrings,
        damaged: Callable[[str], None],
        *,
        threshold: float | None = None,
        top: int | None = None,
    ) -> Iterator[AnnotatedImage]:
        for path in paths:
            if path.endswith(self.cannot_read):
                damaged(f"{path} is damaged")
                continue
            labels, boxes = self.says(path)
            yield AnnotatedImage(path, 64, 64, boxes, labels[:top])


def colour(path: str) -> tuple[tuple[Label, ...], tuple[Box, ...]]:
    true = int(Path(path).stem) % 3
    names = ("red", "lime", "blue")
    return (Label(names[true], 0.8), Label(names[(true + 1) % 3], 0.15), Label(names[(true + 2) % 3], 0.05)), ()


def test_a_wrong_class_comes_first_and_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    text = write_colors(tmp_path, 12)
    text.write_text(text.read_text().replace("train/4.png 1", "train/4.png 0"))
    lists = {"train": read_image_list(text)}
    readings = Readings(lists)
    for broken in ("no such file", "/7.png"):
        readings.add(Oracle(("blue", "lime", "red"), "multiclass", colour, broken), "model")
    ranking = readings.rank()
    first = ranking.suspects[0]
    assert (Path(first.image).name, first.index, first.label, first.suggested) == ("4.png", 4, "red", "lime")
    assert (ranking.images, len(ranking.suspects), len(ranking.damaged)) == (11, 11, 1)
    assert describe(first) == "red: lime?"
    with Image.open(draw_suspects(ranking.suspects[:4], lists, "suspects", tmp_path / "sheet.png")) as sheet:
        assert sheet.width > 1000


def test_models_that_were_trained_on_an_image_do_not_judge_it_beside_others(tmp_path: Path) -> None:
    """The second one has learned the wrong label of its own training."""
    text = write_colors(tmp_path, 6)
    text.write_text(text.read_text().replace("train/4.png 1", "train/4.png 0"))
    images = read_image_list(text)
    wrong = str(images.location(4))

    def learned(path: str) -> tuple[tuple[Label, ...], tuple[Box, ...]]:
        return (Label("red", 1.0),) if path == wrong else colour(path)[0], ()

    scores = []
    for seen in ({wrong}, set[str]()):
        readings = Readings({"train": images})
        readings.add(Oracle(("blue", "lime", "red"), "multiclass", colour), "unseen", {str(images.location(0))})
        readings.add(Oracle(("blue", "lime", "red"), "multiclass", learned), "trained", seen)
        ranking = readings.rank()
        assert (ranking.suspects[0].index, ranking.learned) == (4, 0)
        scores.append(ranking.suspects[0].score)
    assert scores[0] == pytest.approx((1 + 0.8 - 0.05) / 2)
    assert scores[1] < scores[0]


def test_images_that_all_models_were_trained_on_are_judged_by_all_and_counted(tmp_path: Path) -> None:
    images = read_image_list(write_colors(tmp_path, 3))
    readings = Readings({"train": images})
    readings.add(Oracle(("blue", "lime", "red"), "multiclass", colour), "model", {str(images.location(0))})
    ranking = readings.rank()
    assert (len(ranking.suspects), ranking.learned) == (3, 1)


def test_boxes_that_are_missing_and_superfluous_come_first(tmp_path: Path) -> None:
    drawings = draw_shapes(8)
    images = read_image_list(write_detection(tmp_path, drawings))
    target = {str(images.location(i)): drawings[i] for i in range(8)}

    def says(path: str) -> tuple[tuple[Label, ...], tuple[Box, ...]]:
        one = target[path]
        shown = zip(one.labels, one.boxes, strict=True)
        return (), tuple(Box(images.classes[label], x1, y1, x2, y2, 0.9) for label, (x1, y1, x2, y2) in shown)

    drawings[1].labels.clear()  # nothing is predicted there
    drawings[1].boxes.clear()
    drawings[4].labels.append(2)  # shows nothing, says the data set
    drawings[4].boxes.append((5, 5, 25, 25))
    readings = Readings({"train": images})
    readings.add(Oracle(images.classes, "detection", says), "model")
    ranking = readings.rank()
    suspicious = {(one.kind, one.index) for one in ranking.suspects if one.score > 0.5}
    assert suspicious == {("extra", 1), ("missed", 4)}
    assert [describe(one) for one in ranking.suspects if one.index == 4] == ["missing: triangle?"]


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        (Oracle(("red",), "detection", colour), "model is for detection sets, but .* is a multiclass one"),
        (Oracle(("red", "lime"), "multiclass", colour), "model does not know the class 'blue'"),
    ],
)
def test_models_that_do_not_fit(tmp_path: Path, model: Oracle, problem: str) -> None:
    lists: dict[str, ImageList] = {"train": read_image_list(write_colors(tmp_path, 3))}
    with pytest.raises(DataError, match=problem):
        Readings(lists).add(model, "model")
