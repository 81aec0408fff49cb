"""Boxes that were spoiled on purpose come first, each with what is wrong with it."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from mitorch_service.annotations.annotated_image import Box
from mitorch_service.training.suspects.box_suspects import BoxSuspect, in_turns, iou, rank_boxes, scaled

ONE = Box("disc", 10, 10, 30, 30)


def seen(box: Box, score: float, by: float = 0) -> Box:
    return replace(box, left=box.left + by, right=box.right + by, score=score)


@pytest.mark.parametrize(
    ("labelled", "of_models", "kind", "score"),
    [
        ([ONE], [[], [seen(ONE, 0.9)], [seen(ONE, 0.2)]], "extra", 0.8),
        ([], [[seen(ONE, 0.9)], [seen(ONE, 0.7, 2)]], "missed", 0.8),
        ([ONE], [[replace(seen(ONE, 0.9), class_name="square"), seen(ONE, 0.1)]], "wrong class", 0.8),
        ([ONE], [[seen(ONE, 0.9, 8)]], "shifted", 0.9 * (1 - (12 / 28) / 0.75)),
    ],
)
def test_each_kind(labelled: list[Box], of_models: list[list[Box]], kind: str, score: float) -> None:
    first = rank_boxes(labelled, of_models)[0]
    assert first.kind == kind
    assert first.score == pytest.approx(score)


def test_what_all_agree_on_is_not_suspect() -> None:
    assert rank_boxes([ONE], [[seen(ONE, 0.95, 1)], [seen(ONE, 1.0)]]) == []
    assert iou(ONE, ONE) == 1
    assert iou(ONE, seen(ONE, 1, 20)) == 0


def test_a_prediction_of_a_neighbour_says_nothing_of_a_box() -> None:
    """The detector finds the box beside it, which overlaps it, and not this one."""
    beside = replace(ONE, left=24, right=44)
    suspects = rank_boxes([ONE, beside], [[seen(beside, 1.0, -1)]])
    assert [(one.kind, one.box, one.score) for one in suspects] == [("extra", ONE, 1)]


def test_kinds_take_turns_and_a_box_comes_once() -> None:
    """A detector that misses every tenth object: what it sees clearly comes between."""
    boxes = [replace(ONE, left=place) for place in range(4)]
    extra = [("a.png", BoxSuspect("extra", box, None, 0.9 - place / 100)) for place, box in enumerate(boxes)]
    wrong = ("a.png", BoxSuspect("wrong class", boxes[2], ONE, 0.6))
    other = ("b.png", BoxSuspect("wrong class", boxes[2], ONE, 0.5))
    missed = ("b.png", BoxSuspect("missed", boxes[2], boxes[2], 0.3))
    assert in_turns([other, *extra, missed, wrong]) == [extra[0], wrong, missed, extra[1], other, extra[3]]
    assert in_turns([]) == []


@pytest.mark.parametrize("count", [1, 3])
def test_of_spoiled_shapes_four_fifths_are_in_the_first_six_percent(count: int) -> None:
    draw = random.Random(0)
    true = [[_drawn(draw, column) for column in range(draw.randint(1, 4))] for _ in range(250)]
    wrong = {place: _spoil(true[place[0]][place[1]], draw) for place in _chosen(true, draw)}
    labelled = [[wrong.get((i, k), box) for k, box in enumerate(boxes)] for i, boxes in enumerate(true)]
    labelled = [[box for box in boxes if box is not _NONE] for boxes in labelled]
    models = [scaled(labelled, [_predicted(boxes, draw) for boxes in true]) for _ in range(count)]
    ranked = in_turns(
        (image, one)
        for image, boxes in enumerate(labelled)
        for one in rank_boxes(boxes, [found[image] for found in models])
    )
    first = [(one, image) for image, one in ranked[: round(0.06 * sum(map(len, true)))]]
    found = {place for place, spoiled in wrong.items() if any(_hits(one, place, true, spoiled) for one in first)}
    assert len(wrong) == 19
    assert len(found) >= 0.8 * len(wrong)


def _chosen(true: list[list[Box]], draw: random.Random) -> list[tuple[int, int]]:
    """Three of a hundred boxes."""
    places = [(image, number) for image, boxes in enumerate(true) for number in range(len(boxes))]
    return draw.sample(places, round(0.03 * len(places)))


def _hits(one: tuple[BoxSuspect, int], place: tuple[int, int], true: list[list[Box]], spoiled: Box) -> bool:
    suspect, image = one
    return image == place[0] and any(iou(suspect.box, box) > 0.3 for box in (true[image][place[1]], spoiled))


_NONE = Box("none", 0, 0, 0, 0)


def _drawn(draw: random.Random, column: int) -> Box:
    left, top, side = 50 * column + draw.uniform(0, 15), draw.uniform(0, 60), draw.uniform(15, 30)
    return Box(draw.choice(["disc", "square"]), left, top, left + side, top + side)


def _spoil(box: Box, draw: random.Random) -> Box:
    """Another class, another place, or no box."""
    match draw.randrange(3):
        case 0:
            return replace(box, class_name="square" if box.class_name == "disc" else "disc")
        case 1:
            by = 0.55 * (box.right - box.left)
            return replace(box, left=box.left + by, right=box.right + by)
    return _NONE


def _predicted(true: list[Box], draw: random.Random) -> list[Box]:
    """Returns the predictions of a middling detector: a tenth is missed, some are made up or of two classes."""
    found = []
    for box in true:
        off = 0.1 * (box.right - box.left)
        moved = Box(
            box.class_name, *(side + draw.gauss(0, off / 2) for side in (box.left, box.top, box.right, box.bottom))
        )
        if draw.random() > 0.1:
            found.append(replace(moved, score=draw.uniform(0.5, 1)))
        if draw.random() < 0.2:
            found.append(replace(moved, class_name="disc", score=draw.uniform(0.05, 0.4)))
    if draw.random() < 0.3:
        found.append(replace(_drawn(draw, draw.randrange(4)), score=draw.uniform(0.05, 0.4)))
    return found
