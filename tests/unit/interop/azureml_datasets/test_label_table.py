"""Tables of the label API: two spellings of a box, two of a list, confidences; each mistake by its line."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mitorch_service.annotations.annotated_image import Box
from mitorch_service.errors import DataError
from mitorch_service.interop.azureml_datasets.label_table import LabelTable, read_label_table

CORNERS = {"bottomX": 1, "topX": 5, "bottomY": 2, "topY": 8.5}
HEADER = "image_url,label,label_confidence"


def table(*rows: str, header: str = HEADER, **options: Any) -> LabelTable:
    return read_label_table("sea_labels", [header, *rows], **options)


def row(objects: object, confidences: object = "", url: str = "a/1.jpg") -> str:
    return ",".join('"' + str(cell).replace('"', '""') + '"' for cell in (url, objects, confidences))


@pytest.mark.parametrize("text", [str, json.dumps])
@pytest.mark.parametrize("key", ["type", "label"])
def test_boxes_are_read(text: Any, key: str) -> None:
    assert table(row(text([{key: "bottle", **CORNERS}]))).boxes == {"a/1.jpg": [Box("bottle", 1, 2, 5, 8.5)]}


def test_rows_of_an_image_are_added_and_empty_ones_kept() -> None:
    one = [{"type": "bottle", **CORNERS}]
    assert [len(boxes) for boxes in table(row(one), row(one), row([], url="/b.jpg")).boxes.values()] == [2, 0]


def test_what_is_unsure_or_empty_is_left_out_and_counted() -> None:
    objects = [{"type": "a", **CORNERS}, {"type": "b", **CORNERS}, {"type": "c", **CORNERS, "topX": 1}]
    found = table(row(objects, [0.9, 0.49, 1]), min_confidence=0.5)
    assert ([box.class_name for box in found.boxes["a/1.jpg"]], found.unsure, found.empty) == (["a"], 1, 1)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (row("no list"), "label is no list: 'no list'"),
        (row("__import__('os')"), "label is no list"),
        (row([3]), "an object is no {…}: '3'"),
        (row([CORNERS]), "an object has neither type nor label"),
        (row([{"type": "a", "bottomX": 1}]), "an object has no bottomY, topX, topY"),
        (row([{"type": "a", **CORNERS, "topX": "far"}]), "topX is no number: 'far'"),
        (row([{"type": "a", **CORNERS}], [0.1, 0.2]), "label_confidence has 2 values for 1 objects"),
        (row([], url=" "), "image_url is empty"),
    ],
)
def test_a_mistake_is_told_with_its_line(line: str, words: str) -> None:
    (problem,) = table(row([]), line).problems
    assert problem.path == "line 3"
    assert words in problem.message


def test_a_table_without_the_columns_is_told() -> None:
    with pytest.raises(DataError, match="sea_labels has no column label: it has image_url, lable"):
        table(header="image_url,lable")
    with pytest.raises(DataError, match="no column image_url and no column label: it is empty"):
        read_label_table("sea_labels", [])


def test_a_million_lines_are_read_in_bounded_time_and_mistakes() -> None:
    found = read_label_table("x", [HEADER, *["a,b"] * 5000])
    assert len(found.problems) == 20


def test_a_confidence_in_percent_is_told_where_one_is_asked_for() -> None:
    cells = 'a.png,"' + str([{"type": "a", **CORNERS}]) + '",[90]\n'
    lines = ["image_url,label,label_confidence\n", cells]
    asked = read_label_table("sea_labels", lines, min_confidence=0.5)
    assert "label_confidence is 90, and must be from 0 to 1 for --min-confidence" in asked.problems[0].message
    assert not read_label_table("sea_labels", lines).problems


def test_what_is_no_table_is_shown_without_its_control_characters() -> None:
    with pytest.raises(DataError) as caught:
        read_label_table("sea_labels", ["\ufffdPNG\x1b[2J\x07" + "x" * 100_000 + "\n"])
    assert "\x1b" not in str(caught.value) and len(str(caught.value)) < 300
