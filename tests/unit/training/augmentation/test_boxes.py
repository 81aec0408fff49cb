"""Boxes move with the pixels: what was drawn in a box is still in it after each transform."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from mitorch_service.models.config.training_config import AugmentationConfig, AugmentationStep
from mitorch_service.training.augmentation.options import ON_BATCHES, OPTIONS
from mitorch_service.training.augmentation.pipeline import build_augmentation, steps_for
from mitorch_service.training.data.targets import Boxes

SIZE = 64
SEEDS = 25
MARGIN = 1.5  # pixels: of rounding and of interpolation
# Colours that stay apart from each other under most changes of colour; where they do not, nothing is found.
COLORS = ((255, 0, 0), (0, 255, 0))
COLOR_CHANGING = {"auto_augment", "trivial_augment", "rand_augment", "aug_mix"}
NAMES = [name for name in OPTIONS if name not in ON_BATCHES]
STRONG: dict[str, dict[str, Any]] = {
    "random_rotation": {"degrees": 60},
    "random_affine": {"degrees": 45, "translate": 0.3, "scale": [0.5, 1.5], "shear": 20},
    "rand_augment": {"num_ops": 3, "magnitude": 20},
    "to_gray": {"p": 0},  # gray has no red and green to find
    "surveillance": {},
}


def picture(rng: np.random.Generator) -> tuple[Image.Image, Boxes]:
    """A red and a green rectangle on black, in an image of any aspect; neither covers the other."""
    width, height = int(rng.integers(60, 140)), int(rng.integers(60, 140))
    image = Image.new("RGB", (width, height))
    draw, corners = ImageDraw.Draw(image), []
    for half, color in enumerate(COLORS):
        left, right = sorted(rng.choice(np.arange(half * width // 2, (half + 1) * width // 2 - 2), 2, replace=False))
        right += 2
        top, bottom = sorted(rng.choice(np.arange(height - 4), 2, replace=False))
        bottom += 4
        draw.rectangle((left, top, right - 1, bottom - 1), fill=color)
        corners.append([left, top, right, bottom])
    return image, Boxes(np.arange(2, dtype=np.int64), np.array(corners, np.float32))


def extent(pixels: np.ndarray[Any, Any], label: int) -> list[float] | None:
    """The rectangle around the pixels that are rather of this colour than of the others."""
    other = 1 - label
    mine = pixels.astype(int)
    rows, columns = np.nonzero(
        (mine[label] > 90) & (mine[label] > 2.0 * mine[other] + 20) & (mine[2] < mine[label] / 2)
    )
    if not len(rows):
        return None
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@pytest.mark.parametrize("name", NAMES)
def test_a_box_still_holds_what_was_drawn_in_it(name: str) -> None:
    step = AugmentationStep(name=name, options=STRONG.get(name, {}))
    augmentation = build_augmentation([step], SIZE, (0, 0, 0), "detection")
    found = 0
    for seed in range(SEEDS):
        image, boxes = picture(np.random.default_rng(seed))
        torch.manual_seed(seed)
        tensor, moved = augmentation(image, boxes)
        assert moved is not None
        height, width = tensor.shape[1:]
        assert (moved.boxes >= 0).all()
        assert (moved.boxes <= [width, height, width, height]).all()
        assert (moved.boxes[:, 2:] - moved.boxes[:, :2] >= 1).all()
        for label, (x_min, y_min, x_max, y_max) in zip(moved.labels.tolist(), moved.boxes.tolist(), strict=True):
            seen = extent(tensor.numpy(), label)
            if seen is not None:
                found += 1
                assert x_min - MARGIN <= seen[0], (seed, label, seen)
                assert y_min - MARGIN <= seen[1], (seed, label, seen)
                assert x_max + MARGIN >= seen[2], (seed, label, seen)
                assert y_max + MARGIN >= seen[3], (seed, label, seen)
    assert found >= SEEDS / 2  # the test has looked at something


@pytest.mark.parametrize(
    "name", sorted(set(NAMES) - COLOR_CHANGING - {"random_erasing", "inception", "image_compression"})
)
def test_a_box_is_no_larger_than_it_must_be(name: str) -> None:
    """Moves, scales and cuts keep boxes tight; rotation and shear give a box around the corners of the box before."""
    step = AugmentationStep(name=name)
    augmentation = build_augmentation([step], SIZE, (0, 0, 0), "detection")
    slack = 8.0 if name in ("random_rotation", "random_affine") else 2.0
    for seed in range(SEEDS):
        image, boxes = picture(np.random.default_rng(seed))
        torch.manual_seed(seed)
        tensor, moved = augmentation(image, boxes)
        assert moved is not None
        for label, corners in zip(moved.labels.tolist(), moved.boxes.tolist(), strict=True):
            seen = extent(tensor.numpy(), label)
            if seen is not None and min(seen[2] - seen[0], seen[3] - seen[1]) > 3:
                assert np.abs(np.array(corners) - seen).max() <= slack, (seed, corners, seen)


def test_what_is_hardly_visible_any_more_is_left_out() -> None:
    """A crop of the middle half leaves a twentieth of one box, and all of the other."""
    image = Image.new("RGB", (100, 100))
    boxes = Boxes(np.array([3, 4]), np.array([[0, 30, 26, 60], [40, 40, 60, 60]], np.float32))
    step = AugmentationStep(name="center_crop", options={"crop_ratio": 0.5})
    moved = build_augmentation([step], 50, (0, 0, 0), "detection")(image, boxes)[1]
    assert moved is not None
    assert moved.labels.tolist() == [4]
    assert moved.boxes.tolist() == [[15, 15, 35, 35]]


def test_a_box_of_less_than_a_pixel_is_measured_but_not_learned_from() -> None:
    image = Image.new("RGB", (100, 100))
    boxes = Boxes(np.array([3, 4]), np.array([[40, 40, 43, 50], [40, 40, 60, 60]], np.float32))
    step = AugmentationStep(name="letterbox")
    labels = {}
    for training in (True, False):
        moved = build_augmentation([step], 20, (0, 0, 0), "detection", training=training)(image, boxes)[1]
        assert moved is not None
        labels[training] = moved.labels.tolist()
    assert labels == {True: [4], False: [3, 4]}


@pytest.mark.parametrize("name", NAMES)
def test_an_image_without_boxes_stays_without(name: str) -> None:
    none = Boxes(np.zeros(0, np.int64), np.zeros((0, 4), np.float32))
    augmentation = build_augmentation([AugmentationStep(name=name)], SIZE, (0, 0, 0), "detection")
    for seed in range(3):
        torch.manual_seed(seed)
        tensor, moved = augmentation(Image.new("RGB", (90, 70), "red"), none)
        assert moved is not None
        assert (moved.boxes.shape, moved.labels.shape, tensor.dtype) == ((0, 4), (0,), torch.uint8)


@pytest.mark.parametrize(("size", "expected"), [((80, 40), (64, 32)), ((40, 80), (32, 64)), ((500, 10), (64, 1))])
def test_detection_keeps_the_aspect_unless_told_otherwise(size: tuple[int, int], expected: tuple[int, int]) -> None:
    boxes = Boxes(np.array([0]), np.array([[0, 0, *size]], np.float32))
    augmentation = build_augmentation([AugmentationStep(name="horizontal_flip")], SIZE, (0, 0, 0), "detection")
    tensor, moved = augmentation(Image.new("RGB", size), boxes)
    assert moved is not None
    assert tuple(tensor.shape) == (3, SIZE, SIZE)
    assert (moved.boxes[0, 2:] - moved.boxes[0, :2]).tolist() == pytest.approx(expected, abs=0.01)


def test_the_shorter_side_policy_gives_images_of_their_own_aspect() -> None:
    boxes = Boxes(np.array([0]), np.array([[0, 0, 40, 30]], np.float32))
    step = AugmentationStep(name="smallest_max_size", options={"longest": 2})
    for size, expected in (((40, 30), (3, 64, 85)), ((40, 8), (3, 26, 128))):
        tensor, _ = build_augmentation([step], SIZE, (0, 0, 0), "detection")(Image.new("RGB", size), boxes)
        assert tuple(tensor.shape) == expected
    square, _ = build_augmentation([step], SIZE, (0, 0, 0), "multiclass")(Image.new("RGB", (40, 8)))
    assert tuple(square.shape) == (3, SIZE, SIZE)


def test_detection_has_defaults_of_its_own() -> None:
    own = [step.name for step in steps_for(AugmentationConfig(), "detection", "val")]
    assert own == ["letterbox"]
    chosen = AugmentationConfig.model_validate({"val": "resize"})
    assert [step.name for step in steps_for(chosen, "detection", "val")] == ["resize"]
    assert [step.name for step in steps_for(AugmentationConfig(), "multilabel", "val")] == ["center_crop"]


@pytest.mark.parametrize("before", ["letterbox", "resize", "center_crop", "random_sized_bbox_safe_crop"])
def test_a_part_taken_last_is_brought_to_the_input_size(before: str) -> None:
    steps = [AugmentationStep(name=before), AugmentationStep(name="random_iou_crop")]
    augmentation = build_augmentation(steps, SIZE, (0, 0, 0), "detection")
    for seed in range(SEEDS):
        torch.manual_seed(seed)
        pixels, _ = augmentation(*picture(np.random.default_rng(seed)))
        assert pixels.shape == (3, SIZE, SIZE)
