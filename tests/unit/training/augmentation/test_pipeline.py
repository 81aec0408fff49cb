from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.models.config.training_config import AugmentationConfig, AugmentationStep
from mitorch_service.training import plugins
from mitorch_service.training.augmentation.options import ON_BATCHES, OPTIONS, check_augmentation
from mitorch_service.training.augmentation.pipeline import build_augmentation
from mitorch_service.training.data.formats.registry import read_image_list
from mitorch_service.training.data.images.loading import ImageKey, Images
from tests.unit.training.pictures import write_colors

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


def problems_in(config: AugmentationConfig, task: str = "multiclass_classification") -> list[Problem]:
    return check_augmentation(config.train, config.val, task)


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
    problems = [str(problem) for problem in problems_in(config)]
    assert len(problems) == 4
    assert "augmentation.train[1].options.translate: " in problems[0]
    assert "augmentation.train[1].options.degree: unknown key; did you mean 'degrees'?" in problems[1]
    assert problems[2].startswith("augmentation.train[2].options: scale and ratio are [from, to]")
    assert problems[3] == "augmentation.val[0].options.size: unknown key; resize has no options"


def test_building_refuses_bad_options_too() -> None:
    with pytest.raises(InvalidInput, match=r"horizontal_flip\.q: unknown key; .*p"):
        build(("horizontal_flip", {"q": 1}))


def test_an_unknown_name_is_told_with_the_nearest() -> None:
    config = AugmentationConfig.model_validate({"train": ["resize", "resiz"]})
    (problem,) = problems_in(config)
    assert problem.path == "augmentation.train[1].name"
    assert problem.message.startswith("'resiz' is not known; did you mean 'resize'? known: aug_mix, auto_augment")


# contracts.md: the names of the original's two eras
ORIGINAL = [
    "center_crop",
    "center_crop_v2",
    "center_crop_v3",
    "dev",
    "dev2",
    "inception",
    "resize",
    "resize_flip",
    "random_resize",
    "random_resize_v2",
    "random_resize_v3",
    "random_resize_v4",
    "random_resize_bbox",
    "flip",
    "horizontal_flip",
    "image_compression",
    "random_brightness_contrast",
    "random_sized_bbox_safe_crop",
    "random_resized_crop",
    "smallest_max_size",
    "to_gray",
    "auto_augment",
    "surveillance",
]


@pytest.mark.parametrize("name", ORIGINAL)
def test_every_name_of_the_original_is_known(name: str) -> None:
    assert problems_in(AugmentationConfig.model_validate({"train": name})) == []


@pytest.mark.parametrize(("part", "task"), [("val", "multiclass_classification"), ("train", "object_detection")])
def test_mixing_is_for_the_training_of_classifiers(part: str, task: str) -> None:
    config = AugmentationConfig.model_validate({part: ["resize", "mixup"]})
    (problem,) = problems_in(config, task)
    assert problem.path == f"augmentation.{part}[1].name"
    assert "mixup is for the training of classifiers" in problem.message


def test_decoding_leaves_what_the_network_sees() -> None:
    """Twice the input size, or what a crop of the smallest part needs."""
    sides = {
        name: build_augmentation([AugmentationStep(name=name)], 100, MEAN).shorter_side
        for name in ("resize", "center_crop", "random_resized_crop", "random_iou_crop")
    }
    assert sides == {"resize": 200, "center_crop": 200, "random_resized_crop": 354, "random_iou_crop": 334}


PLUGIN = """
import random

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import v2

def build(options, input_size):
    return v2.RandomInvert(options["p"])

def build_noise(options, input_size):
    return lambda image: Image.new("RGB", image.size, (np.random.randint(256), random.randrange(256), draw()))

def draw():
    return int(torch.randint(256, ()))
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed package with the steps negative and noise."""
    (tmp_path / "their_augmentations.py").write_text(PLUGIN)
    metadata = tmp_path / "their_augmentations-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: their-augmentations\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[mitorch_service.augmentations]\nnegative = their_augmentations:build\nnoise = their_augmentations:build_noise"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    plugins._plugins.cache_clear()
    yield
    plugins._plugins.cache_clear()


@pytest.mark.usefixtures("plugin")
def test_an_installed_package_adds_a_name() -> None:
    assert problems_in(AugmentationConfig.model_validate({"train": ["negative"]})) == []
    pixels = build(("negative", {"p": 1}))(Image.new("RGB", (16, 16), "white"))
    assert pixels.amax().item() == 0


@pytest.mark.usefixtures("plugin")
def test_a_step_that_draws_from_numpy_and_random_depends_on_the_image_alone(tmp_path: Path) -> None:
    """The state of the process, which differs between workers and after a resumption, does not matter, and stays."""
    images = Images(read_image_list(write_colors(tmp_path, 3)), build_augmentation([NOISE], 16, MEAN), seed=5)

    def colours(seed: int, order: list[int]) -> dict[int, list[int]]:
        random.seed(seed)
        np.random.seed(seed)
        drawn = {index: images[ImageKey(1, index)][0][:, 0, 0].tolist() for index in order}  # type: ignore[index]
        assert (random.random(), np.random.rand()) == (random.Random(seed).random(), np.random.RandomState(seed).rand())
        return drawn

    first = colours(1, [0, 1, 2])
    assert first == colours(2, [2, 0, 1])
    assert len(set(map(tuple, first.values()))) == 3


NOISE = AugmentationStep(name="noise")
