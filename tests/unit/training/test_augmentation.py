from __future__ import annotations

from typing import Any

import pytest
import torch
from PIL import Image

from mitorch_service.errors import InvalidInput
from mitorch_service.models.config import AugmentationConfig, AugmentationStep
from mitorch_service.training.augmentation import build_augmentation
from mitorch_service.training.augmentation_options import ON_BATCHES, OPTIONS, check_augmentation

NAMES = [name for name in OPTIONS if name not in ON_BATCHES]
MEAN = (0.5, 0.4, 0.3)


def build(*steps: tuple[str, dict[str, Any]], size: int = 16) -> Any:
    named = [AugmentationStep.model_validate({"name": name, "options": options}) for name, options in steps]
    augmentation = build_augmentation(named, size, MEAN)
    return lambda image: augmentation(image)[0]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(5, 40), (40, 5), (16, 16), (1, 1)])
def test_every_name_gives_the_input_size(name: str, size: tuple[int, int]) -> None:
    transform = build((name, {}))
    for seed in range(5):
        torch.manual_seed(seed)
        pixels = transform(Image.new("RGB", size, (128, 128, 128)))
        assert (pixels.shape, pixels.dtype) == ((3, 16, 16), torch.uint8)


def test_center_crop_leaves_the_border_out() -> None:
    image = Image.new("RGB", (100, 200), "black")
    image.paste("white", (10, 60, 90, 140))  # all but a tenth of the shorter side, at each edge
    inner = build(("center_crop", {"crop_ratio": 0.7}))(image)
    assert inner.amin().item() == 255
    outer = build(("center_crop", {"crop_ratio": 1.0}))(image)
    assert outer.amin().item() < 10


def test_options_reach_the_transform() -> None:
    image = Image.new("RGB", (16, 16), "black")
    image.paste("white", (0, 0, 8, 16))
    flipped = build(("horizontal_flip", {"p": 1}))(image)
    assert torch.equal(flipped.flip(2), build(("horizontal_flip", {"p": 0}))(image))
    gray = build(("to_gray", {"p": 1}))(Image.new("RGB", (16, 16), "red"))
    assert gray[0, 0, 0] == gray[1, 0, 0] == gray[2, 0, 0]


def test_erasing_comes_last_and_leaves_the_mean_colour() -> None:
    transform = build(("random_erasing", {"p": 1, "scale": [0.5, 0.5], "ratio": [1, 1]}), ("resize", {}))
    pixels = transform(Image.new("RGB", (16, 16), "white"))
    erased = (pixels == torch.tensor([round(255 * mean) for mean in MEAN]).view(3, 1, 1)).all(0)
    assert 0.3 < erased.float().mean().item() < 0.7


def test_problems_name_step_option_and_the_nearest() -> None:
    config = AugmentationConfig.model_validate(
        {
            "train": [
                "horizontal_flip",
                {"name": "random_affine", "options": {"degree": 5, "translate": 2}},
                {"name": "random_resized_crop", "options": {"scale": [0.9, 0.1]}},
            ],
            "val": {"name": "resize", "options": {"size": 3}},
        }
    )
    problems = [str(problem) for problem in check_augmentation(config)]
    assert len(problems) == 4
    assert "augmentation.train[1].options.translate: " in problems[0]
    assert "augmentation.train[1].options.degree: unknown key; did you mean 'degrees'?" in problems[1]
    assert problems[2].startswith("augmentation.train[2].options: scale and ratio are [from, to]")
    assert problems[3] == "augmentation.val[0].options.size: unknown key; resize has no options"


def test_building_refuses_bad_options_too() -> None:
    with pytest.raises(InvalidInput, match=r"horizontal_flip\.q: unknown key; .*p"):
        build(("horizontal_flip", {"q": 1}))
