"""Ranks the boxes of images by how much trained detectors disagree with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Literal, TypeVar

from mitorch_service.annotations.annotated_image import Box

Image = TypeVar("Image", bound=Hashable)  # whatever tells images apart
Kind = Literal["missed", "extra", "shifted", "wrong class"]

_SAME = 0.5  # IoU from which a prediction and a box are of the same object
_TOUCHES = 0.1  # IoU from which a prediction may be of a box that is drawn badly
_WELL = 0.75  # IoU of a box that is drawn well
_LEAST = 0.05  # score of a suspect


@dataclass(frozen=True)
class BoxSuspect:
    """A box that may be wrong, or a box that may be missing."""

    kind: Kind
    box: Box  # as labelled; missed: as predicted
    suggested: Box | None  # None: no box
    score: float  # 0..1; the higher, the more suspect


def rank_boxes(labelled: Sequence[Box], of_models: Sequence[Sequence[Box]]) -> list[BoxSuspect]:
    """Returns what is suspect in one image, the most suspect first: each labelled box as everything that may be wrong
    with it, and each object that detectors find where no box is.

    Scores are those of `scaled`, of several detectors the median; from 0.05 on. extra: 1 less the score there. wrong
    class: the score of another class there, less that of its own. shifted: the score of the nearest prediction of its
    class, times how far its IoU is below 0.75. missed: the score of predictions that lie on each other and on no box.
    Predictions should have low scores, too, such as from 0.05 on.
    """
    suspects = []
    for place, box in enumerate(labelled):
        others = [*labelled[:place], *labelled[place + 1 :]]
        suspects += _of_labelled(box, [_not_of(others, box, found) for found in of_models])
    suspects += _missed(labelled, of_models)
    worth = [one for one in suspects if one.score >= _LEAST]
    return sorted(worth, key=lambda one: (-one.score, one.box.left, one.box.top))


def in_turns(found: Iterable[tuple[Image, BoxSuspect]]) -> list[tuple[Image, BoxSuspect]]:
    """Returns the suspects of all images, each box once: the most suspect one of each kind, then the second ones, and
    so on. Scores of two kinds say different things: that a detector finds nothing where a box is happens far more often
    than that it finds another class there, and would come before all else."""
    places: Counter[str] = Counter()
    turns: list[tuple[int, float, tuple[Image, BoxSuspect]]] = []
    for image, one in sorted(found, key=lambda pair: -pair[1].score):
        places[one.kind] += 1
        turns.append((places[one.kind], -one.score, (image, one)))
    once: dict[tuple[Image, bool, Box], tuple[Image, BoxSuspect]] = {}
    for _, _, (image, one) in sorted(turns, key=lambda turn: turn[:2]):
        once.setdefault((image, one.kind == "missed", one.box), (image, one))
    return list(once.values())


def scaled(
    labelled: Sequence[Sequence[Box]], found: Sequence[Sequence[Box]], unseen: Sequence[bool] | None = None
) -> list[list[Box]]:
    """Returns one detector's predictions of all images with its scores divided by the mean score of those that agree
    with a labelled box, 1 at most: a detector that is never sure suspects no more than others do. (Confident learning
    has such a threshold for each class.) `unseen`: the images that it was not trained on, if there are any; of others
    it is too sure to tell."""
    counts = unseen if unseen is not None and any(unseen) else [True] * len(found)
    agreeing = [
        best.score or 0.0
        for boxes, ones, counted in zip(labelled, found, counts, strict=True)
        if counted
        for box in boxes
        if (best := _best(box, [one for one in ones if one.class_name == box.class_name])) is not None
    ]
    usual = sum(agreeing) / len(agreeing) if agreeing else 1.0
    return [[replace(one, score=min(1.0, (one.score or 0.0) / usual)) for one in ones] for ones in found]


def iou(one: Box, other: Box) -> float:
    """The area that two boxes share, of the area that they cover together; 0..1."""
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (_area(one) + _area(other) - shared)


def _area(box: Box) -> float:
    return (box.right - box.left) * (box.bottom - box.top)


def _of_labelled(box: Box, of_models: Sequence[Sequence[Box]]) -> list[BoxSuspect]:
    own = [_best(box, [one for one in found if one.class_name == box.class_name]) for found in of_models]
    other = [_best(box, [one for one in found if one.class_name != box.class_name]) for found in of_models]
    near = [_nearest(box, [one for one in found if one.class_name == box.class_name]) for found in of_models]
    own_score, other_score = _usual(own), _usual(other)
    candidates = [BoxSuspect("extra", box, None, 1 - max(own_score, other_score, _usual(near)))]
    if (likely := _highest(other)) is not None:
        wrong = Box(likely.class_name, box.left, box.top, box.right, box.bottom, likely.score)
        candidates.append(BoxSuspect("wrong class", box, wrong, max(0.0, other_score - own_score)))
    if (nearest := _highest(near)) is not None:
        off = [0.0 if one is None else (one.score or 0) * max(0.0, 1 - iou(box, one) / _WELL) for one in near]
        candidates.append(BoxSuspect("shifted", box, nearest, median(off)))
    return candidates


def _not_of(others: Sequence[Box], box: Box, found: Sequence[Box]) -> list[Box]:
    """The predictions that overlap no other labelled box more than this one."""
    return [one for one in found if all(iou(one, other) <= iou(one, box) for other in others)]


def _best(box: Box, found: Sequence[Box]) -> Box | None:
    """The prediction of the highest score that is of the same object."""
    return _highest([one for one in found if iou(box, one) >= _SAME])


def _nearest(box: Box, found: Sequence[Box]) -> Box | None:
    """The prediction that overlaps most, a sure one rather than one that happens to lie better."""
    near = [one for one in found if iou(box, one) >= _TOUCHES]
    return max(near, key=lambda one: (one.score or 0) * iou(box, one), default=None)


def _missed(labelled: Sequence[Box], of_models: Sequence[Sequence[Box]]) -> list[BoxSuspect]:
    """Predictions that touch no labelled box, those of all detectors on one object together."""
    free = [[one for one in found if all(iou(one, box) < _TOUCHES for box in labelled)] for found in of_models]
    rest = sorted((one for found in free for one in found), key=lambda one: -(one.score or 0))
    suspects: list[BoxSuspect] = []
    for one in rest:
        if all(iou(one, known.box) < _SAME for known in suspects):
            score = _usual([_best(one, found) for found in free])
            suspects.append(BoxSuspect("missed", one, one, score))
    return suspects


def _highest(found: Sequence[Box | None]) -> Box | None:
    return max((one for one in found if one is not None), key=lambda one: one.score or 0, default=None)


def _usual(found: Sequence[Box | None]) -> float:
    """The median score, 0 for a detector that has none."""
    return median((one.score or 0.0) if one is not None else 0.0 for one in found) if found else 0.0
