"""Classes of a data set as weights number them."""

from __future__ import annotations

from array import array
from dataclasses import replace
from pathlib import Path

import pytest

from mitorch_service.errors import DataError
from mitorch_service.training.data.class_order import in_class_order
from mitorch_service.training.data.image_list import ImageList, PackedStrings
from mitorch_service.training.data.targets import Boxes, BoxTargets, ClassSetTargets, ClassTargets, Targets

MULTICLASS = ClassTargets([0, 1, 2])
MULTILABEL = ClassSetTargets([[0, 2], [], [1]])
DETECTION = BoxTargets.grouped(3, array("q", [0, 0, 2]), array("q", [0, 2, 1]), array("f", range(12)))


def a_list(targets: Targets, classes: tuple[str, ...] = ("cat", "dog", "owl"), *, named: bool = True) -> ImageList:
    return ImageList("val.txt", Path(), PackedStrings("abc"), targets, classes, classes_named=named)


def labels(data: ImageList) -> list[object]:
    targets = [data.target(index) for index in range(len(data))]
    return [one.labels.tolist() if isinstance(one, Boxes) else one for one in targets]


@pytest.mark.parametrize(
    ("targets", "expected"),
    [(MULTICLASS, [3, 0, 2]), (MULTILABEL, [(2, 3), (), (0,)]), (DETECTION, [[3, 2], [], [0]])],
)
def test_classes_are_found_by_name(targets: Targets, expected: list[object]) -> None:
    known = ("dog", "ant", "owl", "cat")
    data, note = in_class_order(a_list(targets), known, named=True, source="m.pth")
    assert (data.classes, labels(data)) == (known, expected)
    assert "val.txt numbers the classes in another order than m.pth" in note
    if targets is DETECTION:
        assert [one.boxes.tolist() for one in map(DETECTION.__getitem__, range(3))] == [
            data.target(index).boxes.tolist() for index in range(3)  # type: ignore[union-attr]
        ]  # fmt: skip


def test_the_same_classes_stay() -> None:
    data = a_list(MULTICLASS)
    assert in_class_order(data, data.classes, named=True, source="m.pth") == (data, "")


def test_images_of_an_unknown_class_are_refused_and_a_class_without_images_is_not() -> None:
    with pytest.raises(DataError, match=r"classes that m\.pth does not know: dog \(1 image\)\. It knows cat, owl\."):
        in_class_order(a_list(MULTICLASS), ("cat", "owl"), named=True, source="m.pth")
    data, _ = in_class_order(a_list(ClassTargets([0, 2, 2])), ("owl", "cat"), named=True, source="m.pth")
    assert labels(data) == [1, 0, 0]


@pytest.mark.parametrize("named", [(True, False), (False, True), (False, False)])
def test_numbers_are_compared_where_there_are_no_names(named: tuple[bool, bool]) -> None:
    data = a_list(MULTICLASS, ("0", "1", "2"), named=named[0])
    changed, note = in_class_order(data, ("x", "y", "z", "w"), named=named[1], source="m.pth")
    assert (labels(changed), changed.classes) == ([0, 1, 2], ("x", "y", "z", "w"))
    said = {
        (True, False): "m.pth has no names of classes; they are taken as val.txt numbers them: 0 is 0, 1 is 1, 2 is 2.",
        (False, True): "val.txt numbers its classes without naming them; they are taken as in m.pth: "
        "0 is x, 1 is y, 2 is z, 3 is w.",
        (False, False): "",
    }
    assert note == said[named]
    with pytest.raises(DataError, match=r"has images of class 2, but m\.pth knows only 2 \(0 to 1\)"):
        in_class_order(data, ("x", "y"), named=named[1], source="m.pth")


def test_two_classes_of_one_name_cannot_be_matched() -> None:
    data = a_list(MULTICLASS, ("cat", "cat", "owl"))
    with pytest.raises(DataError, match="of which two have the same name"):
        in_class_order(data, ("cat", "owl"), named=True, source="m.pth")
    same = replace(data, classes=("cat", "cat", "owl"))
    assert in_class_order(same, data.classes, named=True, source="m.pth")[1] == ""
