"""obdb's recordings become images with boxes: every kind of shape, what is left out, and the split."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mitorch_service.annotations.annotated_image import AnnotatedImage, Box
from mitorch_service.interop.obdb.annotated_frames import annotated_frames, split_every
from mitorch_service.interop.obdb.annotation_database import Frame, Recording, Shape


def shape(
    kind: str, points: Sequence[float], frame: int = 0, name: str | None = "Rape", image: str | None = None
) -> Shape:
    return Shape(kind, tuple(points), frame, image, name)


def recording(*shapes: Shape, name: str = "A", frames: Sequence[str] = ("a.jpg", "b.jpg")) -> Recording:
    return Recording(name, "2020", [Frame(one, 100, 80) for one in frames], list(shapes))


SHAPES = {
    "rectangle": ([10, 20, 30, 40], (10, 20, 30, 40)),
    "polygon": ([10, 20, 30, 15, 5, 40], (5, 15, 30, 40)),
    "polyline": ([10, 20, 30, 40], (10, 20, 30, 40)),
    "points": ([1, 2, 3, 4, 5, 0], (1, 0, 5, 4)),
    "cuboid": ([1, 1, 2, 9, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8], (1, 1, 8, 9)),
    "ellipse": ([50, 40, 60, 10], (40, 10, 60, 70)),
    "mask": ([3, 4, 5, 20, 10, 29, 19], (20, 10, 30, 20)),
}


@pytest.mark.parametrize(("kind", "points", "box"), [(kind, *values) for kind, values in SHAPES.items()])
def test_each_kind_of_shape_becomes_the_box_around_it(
    kind: str, points: list[float], box: tuple[float, float, float, float]
) -> None:
    (image, empty), remarks = annotated_frames([recording(shape(kind, points))])
    assert image == AnnotatedImage("a.jpg", 100, 80, (Box("Rape", *box),))
    assert empty == AnnotatedImage("b.jpg", 100, 80)
    assert remarks == (
        [] if kind == "rectangle" else ["1 annotation other than a rectangle: the box around it was taken"]
    )


def test_what_is_no_box_is_counted_and_left_out() -> None:
    found, remarks = annotated_frames(
        [
            recording(
                shape("rectangle", [90, 70, 130, 95]),  # partly outside
                shape("rectangle", [30, 40, 10, 20], 1),  # drawn from the lower right
                shape("rectangle", [110, 10, 130, 20]),
                shape("points", [5, 5]),
                shape("skeleton", []),
                shape("rectangle", [1, 1, 2, 2], name=None),
                shape("rectangle", [1, 1, 2, 2], 7),
                shape("rectangle", [3, 3, 4, 4], 7, image="b.jpg"),  # its name leads to the frame
            )
        ]
    )
    assert [one.boxes for one in found] == [
        (Box("Rape", 90, 70, 100, 80),),
        (Box("Rape", 10, 20, 30, 40), Box("Rape", 3, 3, 4, 4)),
    ]
    assert remarks == [
        "1 annotation without a class, left out",
        "1 annotation of a frame that meta does not have, left out",
        "3 annotations without an area in the image, left out",
    ]


def test_an_image_of_two_recordings_comes_once() -> None:
    first = recording(shape("rectangle", [1, 2, 3, 4]), shape("rectangle", [1, 2, 3, 4]))
    second = recording(
        shape("rectangle", [1, 2, 3, 4]), shape("rectangle", [5, 6, 7, 8]), name="B", frames=["a.jpg", "c.jpg"]
    )
    found, remarks = annotated_frames([first, second])
    assert [(one.path, len(one.boxes)) for one in found] == [("a.jpg", 2), ("b.jpg", 0), ("c.jpg", 0)]
    assert remarks == ["2 annotations the same in several recordings of one image, taken once"]


def test_every_tenth_frame_validates_as_in_obdb() -> None:
    """Its rows are the frames with boxes, from 0; of the others every tenth, too."""
    images = [AnnotatedImage(f"{n}.jpg", 9, 9, (Box("Rape", 1, 1, 2, 2),) if n % 2 else ()) for n in range(50)]
    train, val, remarks = split_every(images, 10)
    assert remarks == []
    assert [one.path for one in val] == ["0.jpg", "1.jpg", "20.jpg", "21.jpg", "40.jpg", "41.jpg"]
    assert len(train) == 44
    assert {one.path for one in train}.isdisjoint(one.path for one in val)


def test_another_share_validates() -> None:
    images = [AnnotatedImage(f"{n}.jpg", 9, 9, (Box("Rape", 1, 1, 2, 2),)) for n in range(7)]
    assert [one.path for one in split_every(images, 3)[1]] == ["0.jpg", "3.jpg", "6.jpg"]


def test_a_class_of_a_tenth_only_is_trained_with() -> None:
    classes = ["Rape", "Rape", *["Zea"] * 8, "Fat hen", "Zea"]
    images = [AnnotatedImage(f"{n}.jpg", 9, 9, (Box(name, 1, 1, 2, 2),)) for n, name in enumerate(classes)]
    train, val, remarks = split_every(images, 10)
    assert [one.path for one in val] == ["0.jpg"]
    assert "10.jpg" in [one.path for one in train]
    assert remarks == ["1 frame for validation to train instead, with a class that no other frame to train has"]
