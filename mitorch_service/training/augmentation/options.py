"""The parameters of each augmentation. Imports no torch: a config is checked where it is submitted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, model_validator

from mitorch_service.errors import Problem
from mitorch_service.models.base import ConfigSection
from mitorch_service.models.config import AugmentationStep
from mitorch_service.models.validation import check, nearest
from mitorch_service.training.augmentation.presets import PRESETS
from mitorch_service.training.plugins import plugin_names

AUGMENTATIONS_GROUP = "mitorch_service.augmentations"  # entry points: (options, input_size) to a transform of v2
ON_BATCHES = ("mixup", "cutmix")  # mix the images of a batch, with their classes

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Strength = Annotated[float, Field(ge=0)]


class NoOptions(ConfigSection):
    """``resize``: both sides to the input size, whatever the aspect. ``letterbox``: the longer side to the input size,
    grey bars added along the other. ``auto_augment``: a policy found on ImageNet (Cubuk et al., 2019)."""


class CenterCropOptions(ConfigSection):
    """``center_crop``: the middle square that has `crop_ratio` of the shorter side, resized."""

    crop_ratio: Annotated[float, Field(gt=0, le=1)] = 0.875


class ProbabilityOptions(ConfigSection):
    """``resize_flip`` (mirrored left to right), ``horizontal_flip``, ``vertical_flip``, ``flip`` (left to right, upside
    down, or both), ``to_gray``."""

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


class SmallestMaxSizeOptions(ConfigSection):
    """``smallest_max_size``: the shorter side to the input size, the aspect kept. Classification then takes the middle
    square; detection takes all, the longer side being at most `longest` times the input size."""

    longest: Annotated[float, Field(ge=1)] = 1333 / 800


class BoxSafeCropOptions(ConfigSection):
    """``random_sized_bbox_safe_crop``: a random part that holds all boxes, resized; `erosion` lets it cut this much of
    their common rectangle off at each edge."""

    erosion: Annotated[float, Field(ge=0, lt=0.5)] = 0.0


class IouCropOptions(ConfigSection):
    """``random_iou_crop``: a random part that overlaps a box by at least one of `overlaps` (Liu et al., 2016). Without
    boxes, the whole image."""

    min_scale: Annotated[float, Field(gt=0, le=1)] = 0.3
    overlaps: list[Fraction] = [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0]  # 1: the whole image


class BrightnessContrastOptions(ConfigSection):
    """``random_brightness_contrast``: both factors drawn from 1 ± the value."""

    brightness: Strength = 0.2
    contrast: Strength = 0.2
    p: Fraction = 0.5


class CompressionOptions(ConfigSection):
    """``image_compression``: through JPEG of a random quality."""

    quality: tuple[Annotated[int, Field(ge=1, le=100)], Annotated[int, Field(ge=1, le=100)]] = (80, 100)  # from, to
    p: Fraction = 0.5

    @model_validator(mode="after")
    def _ordered(self) -> CompressionOptions:
        if self.quality[0] > self.quality[1]:
            raise ValueError("quality is [from, to] with from <= to")
        return self


class AugMixOptions(ConfigSection):
    """``aug_mix``: chains of operations, blended (Hendrycks et al., 2020). With boxes, operations on colours only."""

    severity: Annotated[int, Field(ge=1, le=10)] = 3
    mixture_width: Annotated[int, Field(ge=1)] = 3
    chain_depth: int = -1  # operations in each chain; -1: 1 to 3, at random
    alpha: Positive = 1.0


class MixOptions(ConfigSection):
    """``mixup`` (Zhang et al., 2018), ``cutmix`` (Yun et al., 2019): training of classifiers only. With both, each
    batch gets one of them."""

    alpha: Positive = 1.0  # of the Beta distribution from which the share of each image is drawn
    p: Fraction = 1.0  # of a batch being mixed


OPTIONS: dict[str, type[ConfigSection]] = {
    "resize": NoOptions,
    "letterbox": NoOptions,
    "smallest_max_size": SmallestMaxSizeOptions,
    "center_crop": CenterCropOptions,
    "resize_flip": ProbabilityOptions,
    "random_crop": RandomCropOptions,
    "random_resized_crop": RandomResizedCropOptions,
    "random_sized_bbox_safe_crop": BoxSafeCropOptions,
    "random_iou_crop": IouCropOptions,
    "inception": RandomResizedCropOptions,
    "horizontal_flip": ProbabilityOptions,
    "vertical_flip": ProbabilityOptions,
    "flip": ProbabilityOptions,
    "random_rotation": RotationOptions,
    "random_affine": AffineOptions,
    "color_jitter": ColorJitterOptions,
    "random_brightness_contrast": BrightnessContrastOptions,
    "image_compression": CompressionOptions,
    "to_gray": ProbabilityOptions,
    "random_erasing": RandomErasingOptions,
    "auto_augment": NoOptions,
    "trivial_augment": TrivialAugmentOptions,
    "rand_augment": RandAugmentOptions,
    "aug_mix": AugMixOptions,
    "mixup": MixOptions,
    "cutmix": MixOptions,
    **dict.fromkeys(PRESETS, NoOptions),
}


def check_augmentation(
    train: Sequence[AugmentationStep | None], val: Sequence[AugmentationStep | None], task_type: str
) -> list[Problem]:
    """Everything wrong in the names and options of the steps, with its place in the training config; None is passed
    over."""
    problems = []
    for part, steps in (("train", train), ("val", val)):
        for number, step in enumerate(steps):
            place = f"augmentation.{part}[{number}]"
            if step is None:
                continue
            if step.name in ON_BATCHES and (part == "val" or task_type == "object_detection"):
                problems.append(Problem(f"{place}.name", f"{step.name} is for the training of classifiers; remove it"))
            problems += _step_problems(step, place)
    return problems


def _step_problems(step: AugmentationStep, place: str) -> list[Problem]:
    if step.name in OPTIONS:
        return [
            Problem(f"{place}.options.{problem.path}".rstrip("."), _message(step.name, problem.message))
            for problem in check(OPTIONS[step.name], step.options)[1]
        ]
    known = sorted({*OPTIONS, *plugin_names(AUGMENTATIONS_GROUP)})
    if step.name in known:
        return []
    near = nearest(step.name, known)
    hint = f"did you mean {near!r}? " if near else ""
    return [Problem(f"{place}.name", f"{step.name!r} is not known; {hint}known: {', '.join(known)}")]


def _message(name: str, message: str) -> str:
    return message if OPTIONS[name].model_fields else f"unknown key; {name} has no options"
