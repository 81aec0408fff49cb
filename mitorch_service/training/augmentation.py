"""From the config's list of named steps to one function: a picture in, a normalised tensor out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.models.config import AugmentationName, AugmentationStep
from mitorch_service.models.validation import check
from mitorch_service.training import augmentation_options as options

Transform = Callable[[Image.Image], Tensor]

# These make any picture a square of the input size. Without one of them, a plain resize goes first.
_SIZING: set[AugmentationName] = {
    "resize",
    "center_crop",
    "resize_flip",
    "random_crop",
    "random_resized_crop",
    "inception",
}
_ON_TENSORS: set[AugmentationName] = {"random_erasing"}  # after the normalisation, where 0 is the mean colour


def build_augmentation(
    steps: Sequence[AugmentationStep], input_size: int, mean: Sequence[float], std: Sequence[float]
) -> Transform:
    """The steps in their order, then the values scaled to 0..1, less `mean`, over `std`.

    The function takes an RGB picture of any size and gives float32 of shape (3, input_size, input_size).
    It draws from torch's global generator only. Raises InvalidInput for options that do not fit their step.
    """
    names = {step.name for step in steps}
    if not names & _SIZING:
        steps = [AugmentationStep(name="resize"), *steps]
    on_pictures = [_build(step, input_size) for step in steps if step.name not in _ON_TENSORS]
    on_tensors = [_build(step, input_size) for step in steps if step.name in _ON_TENSORS]
    to_tensor = [v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(list(mean), list(std))]
    transform: Transform = v2.Compose([*on_pictures, *to_tensor, *on_tensors])
    return transform


def _build(step: AugmentationStep, size: int) -> v2.Transform:
    parsed, problems = check(options.OPTIONS[step.name], step.options)
    if parsed is None:
        found = [Problem(f"{step.name}.{problem.path}", problem.message) for problem in problems]
        raise InvalidInput("augmentation", found)
    return _BUILDERS[step.name](parsed, size)


def _center_crop(given: options.CenterCropOptions, size: int) -> v2.Transform:
    return v2.Compose([v2.Resize(max(size, round(size / given.crop_ratio))), v2.CenterCrop(size)])


def _resize_flip(given: options.ProbabilityOptions, size: int) -> v2.Transform:
    return v2.Compose([v2.Resize((size, size)), v2.RandomHorizontalFlip(given.p)])


def _random_crop(given: options.RandomCropOptions, size: int) -> v2.Transform:
    return v2.Compose([v2.Resize((size, size)), v2.RandomCrop(size, padding=round(size * given.padding))])


def _random_resized_crop(given: options.RandomResizedCropOptions, size: int) -> v2.Transform:
    return v2.RandomResizedCrop(size, scale=given.scale, ratio=given.ratio)


def _inception(given: options.RandomResizedCropOptions, size: int) -> v2.Transform:
    """Szegedy et al. 2015; the colours as in TensorFlow's slim/preprocessing/inception_preprocessing.py."""
    color = v2.ColorJitter(brightness=32 / 255, contrast=0.5, saturation=0.5, hue=0.2)
    return v2.Compose([_random_resized_crop(given, size), v2.RandomHorizontalFlip(), color])


def _random_affine(given: options.AffineOptions, size: int) -> v2.Transform:
    return v2.RandomAffine(
        given.degrees,
        translate=(given.translate, given.translate),
        scale=given.scale,
        shear=given.shear or None,
        interpolation=v2.InterpolationMode.BILINEAR,
    )


def _color_jitter(given: options.ColorJitterOptions, size: int) -> v2.Transform:
    return v2.ColorJitter(given.brightness, given.contrast, given.saturation, given.hue)


def _random_erasing(given: options.RandomErasingOptions, size: int) -> v2.Transform:
    return v2.RandomErasing(given.p, scale=given.scale, ratio=given.ratio)


def _random_rotation(given: options.RotationOptions, size: int) -> v2.Transform:
    return v2.RandomRotation(given.degrees, interpolation=v2.InterpolationMode.BILINEAR)


# Any: each takes the options class that OPTIONS has for its name.
_BUILDERS: dict[AugmentationName, Callable[[Any, int], v2.Transform]] = {
    "resize": lambda given, size: v2.Resize((size, size)),
    "center_crop": _center_crop,
    "resize_flip": _resize_flip,
    "random_crop": _random_crop,
    "random_resized_crop": _random_resized_crop,
    "inception": _inception,
    "horizontal_flip": lambda given, size: v2.RandomHorizontalFlip(given.p),
    "vertical_flip": lambda given, size: v2.RandomVerticalFlip(given.p),
    "random_rotation": _random_rotation,
    "random_affine": _random_affine,
    "color_jitter": _color_jitter,
    "to_gray": lambda given, size: v2.RandomGrayscale(given.p),
    "random_erasing": _random_erasing,
    "trivial_augment": lambda given, size: v2.TrivialAugmentWide(given.num_magnitude_bins),
    "rand_augment": lambda given, size: v2.RandAugment(given.num_ops, given.magnitude),
}
