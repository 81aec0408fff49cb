"""The parameters of each augmentation. Imports no torch: a config is checked where it is submitted."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from mitorch_service.errors import Problem
from mitorch_service.models.base import ConfigSection
from mitorch_service.models.config import AugmentationConfig, AugmentationName
from mitorch_service.models.validation import check

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Strength = Annotated[float, Field(ge=0)]


class NoOptions(ConfigSection):
    """``resize``: both sides to the input size, whatever the aspect."""


class CenterCropOptions(ConfigSection):
    """``center_crop``: the middle square that has `crop_ratio` of the shorter side, resized."""

    crop_ratio: Annotated[float, Field(gt=0, le=1)] = 0.875


class ProbabilityOptions(ConfigSection):
    """``resize_flip`` (mirrored left to right), ``horizontal_flip``, ``vertical_flip``, ``to_gray``."""

    p: Fraction = 0.5  # of an image being changed


class RandomCropOptions(ConfigSection):
    """``random_crop``: resized, black added all around, then a square of the input size cut at random."""

    padding: Fraction = 0.125  # of the input size, on each side


class _AreaOptions(ConfigSection):
    scale: tuple[Positive, Positive]  # of the image's area, from and to
    ratio: tuple[Positive, Positive]  # width by height, from and to

    @model_validator(mode="after")
    def _ordered(self) -> _AreaOptions:
        if self.scale[0] > self.scale[1] or self.ratio[0] > self.ratio[1] or self.scale[1] > 1:
            raise ValueError("scale and ratio are [from, to] with from <= to, and scale at most 1")
        return self


class RandomResizedCropOptions(_AreaOptions):
    """``random_resized_crop`` and ``inception``: a part of random area and aspect, resized."""

    scale: tuple[Positive, Positive] = (0.08, 1.0)
    ratio: tuple[Positive, Positive] = (3 / 4, 4 / 3)


class RandomErasingOptions(_AreaOptions):
    """``random_erasing``: a rectangle set to the mean colour."""

    p: Fraction = 0.25
    scale: tuple[Positive, Positive] = (0.02, 1 / 3)
    ratio: tuple[Positive, Positive] = (0.3, 3.3)


class RotationOptions(ConfigSection):
    """``random_rotation``: by up to `degrees` either way."""

    degrees: Annotated[float, Field(ge=0, le=180)] = 10


class AffineOptions(ConfigSection):
    """``random_affine``: rotated, moved, scaled and slanted, all at random."""

    degrees: Annotated[float, Field(ge=0, le=180)] = 10  # up to, either way
    translate: Fraction = 0.1  # up to, of the side
    scale: tuple[Positive, Positive] = (0.9, 1.1)
    shear: Annotated[float, Field(ge=0, lt=90)] = 0  # up to, degrees either way


class ColorJitterOptions(ConfigSection):
    """``color_jitter``: each factor drawn from 1 ± the value; the hue shifted by up to ± `hue` of a turn."""

    brightness: Strength = 0.4
    contrast: Strength = 0.4
    saturation: Strength = 0.4
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0


class TrivialAugmentOptions(ConfigSection):
    """``trivial_augment``: one operation of random kind and strength (Müller and Hutter, 2021)."""

    num_magnitude_bins: Annotated[int, Field(ge=2)] = 31


class RandAugmentOptions(ConfigSection):
    """``rand_augment``: `num_ops` operations of one strength (Cubuk et al., 2020)."""

    num_ops: Annotated[int, Field(ge=1)] = 2
    magnitude: Annotated[int, Field(ge=0, le=30)] = 9


OPTIONS: dict[AugmentationName, type[ConfigSection]] = {
    "resize": NoOptions,
    "center_crop": CenterCropOptions,
    "resize_flip": ProbabilityOptions,
    "random_crop": RandomCropOptions,
    "random_resized_crop": RandomResizedCropOptions,
    "inception": RandomResizedCropOptions,
    "horizontal_flip": ProbabilityOptions,
    "vertical_flip": ProbabilityOptions,
    "random_rotation": RotationOptions,
    "random_affine": AffineOptions,
    "color_jitter": ColorJitterOptions,
    "to_gray": ProbabilityOptions,
    "random_erasing": RandomErasingOptions,
    "trivial_augment": TrivialAugmentOptions,
    "rand_augment": RandAugmentOptions,
}


def check_augmentation(config: AugmentationConfig) -> list[Problem]:
    """Everything wrong in the options of the steps, with its place in the training config."""
    problems = []
    for part, steps in (("train", config.train), ("val", config.val)):
        for number, step in enumerate(steps):
            place = f"augmentation.{part}[{number}].options"
            for problem in check(OPTIONS[step.name], step.options)[1]:
                path = f"{place}.{problem.path}" if problem.path else place
                problems.append(Problem(path, _message(step.name, problem.message)))
    return problems


def _message(name: AugmentationName, message: str) -> str:
    return message if OPTIONS[name].model_fields else f"unknown key; {name} has no options"
