"""The options of each augmentation. Imports no torch, because configs are checked where they are submitted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, model_validator

from mitorch_service.errors import Problem
from mitorch_service.models.base import ConfigSection
from mitorch_service.models.config.training_config import AugmentationStep
from mitorch_service.models.config.validation import check
from mitorch_service.training.augmentation.presets import PRESETS
from mitorch_service.training.plugins import plugin_names
from mitorch_service.wording.suggestion import did_you_mean

AUGMENTATIONS_GROUP = "mitorch_service.augmentations"  # entry points: (options, input_size) -> v2 transform
ON_BATCHES = ("mixup", "cutmix")  # mix the images of a batch and their targets

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Strength = Annotated[float, Field(ge=0)]


class NoOptions(ConfigSection):
    """``resize``: both sides to the input size, ignoring the aspect ratio. ``letterbox``: the longer side to the input
    size, the other padded with grey. ``auto_augment``: the ImageNet policy (Cubuk et al., 2019)."""


class CenterCropOptions(ConfigSection):
    """``center_crop``: the central square with sides of `crop_ratio` times the shorter side, resized."""

    crop_ratio: Annotated[float, Field(gt=0, le=1)] = 0.875


class ProbabilityOptions(ConfigSection):
    """``resize_flip`` (resize, then horizontal flip), ``horizontal_flip``, ``vertical_flip``, ``flip`` (horizontal,
    vertical or both), ``to_gray``."""

    p: Fraction = 0.5  # the probability of changing an image


class RandomCropOptions(ConfigSection):
    """``random_crop``: resize, pad with black on all sides, then crop a random square of the input size."""

    padding: Fraction = 0.125  # per side, as a fraction of the input size


class _AreaOptions(ConfigSection):
    scale: tuple[Positive, Positive]  # fraction of the image's area, from and to
    ratio: tuple[Positive, Positive]  # width / height, from and to

    @model_validator(mode="after")
    def _ordered(self) -> _AreaOptions:
        if self.scale[0] > self.scale[1] or self.ratio[0] > self.ratio[1] or self.scale[1] > 1:
            raise ValueError("scale and ratio are [from, to] with from <= to, and scale at most 1")
        return self


class RandomResizedCropOptions(_AreaOptions):
    """``random_resized_crop`` and ``inception``: a crop of random area and aspect ratio, resized."""

    scale: tuple[Positive, Positive] = (0.08, 1.0)
    ratio: tuple[Positive, Positive] = (3 / 4, 4 / 3)


class RandomErasingOptions(_AreaOptions):
    """``random_erasing``: a rectangle set to the mean colour."""

    p: Fraction = 0.25
    scale: tuple[Positive, Positive] = (0.02, 1 / 3)
    ratio: tuple[Positive, Positive] = (0.3, 3.3)


class RotationOptions(ConfigSection):
    """``random_rotation``: by up to `degrees` in either direction."""

    degrees: Annotated[float, Field(ge=0, le=180)] = 10


class AffineOptions(ConfigSection):
    """``random_affine``: random rotation, translation, scaling and shear."""

    degrees: Annotated[float, Field(ge=0, le=180)] = 10  # of rotation, at most, in either direction
    translate: Fraction = 0.1  # at most, as a fraction of the side
    scale: tuple[Positive, Positive] = (0.9, 1.1)
    shear: Annotated[float, Field(ge=0, lt=90)] = 0  # degrees, at most, in either direction


class ColorJitterOptions(ConfigSection):
    """``color_jitter``: draws each factor from 1 ± the value; shifts the hue by at most ± `hue` of a full turn."""

    brightness: Strength = 0.4
    contrast: Strength = 0.4
    saturation: Strength = 0.4
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0


class TrivialAugmentOptions(ConfigSection):
    """``trivial_augment``: one random operation of random magnitude (Müller and Hutter, 2021)."""

    num_magnitude_bins: Annotated[int, Field(ge=2)] = 31


class RandAugmentOptions(ConfigSection):
    """``rand_augment``: `num_ops` random operations of the same magnitude (Cubuk et al., 2020)."""

    num_ops: Annotated[int, Field(ge=1)] = 2
    magnitude: Annotated[int, Field(ge=0, le=30)] = 9


class SmallestMaxSizeOptions(ConfigSection):
    """``smallest_max_size``: the shorter side to the input size, keeping the aspect ratio. Classification then crops
    the central square; detection keeps the whole image, its longer side at most `longest` times the input size."""

    longest: Annotated[float, Field(ge=1)] = 1333 / 800


class BoxSafeCropOptions(ConfigSection):
    """``random_sized_bbox_safe_crop``: a random crop that contains all boxes, resized; it may cut off a fraction
    `erosion` of the boxes' bounding rectangle at each edge."""

    erosion: Annotated[float, Field(ge=0, lt=0.5)] = 0.0


class IouCropOptions(ConfigSection):
    """``random_iou_crop``: a random crop whose IoU with a box is at least a random one of `overlaps` (Liu et al.,
    2016); the whole image if there are no boxes."""

    min_scale: Annotated[float, Field(gt=0, le=1)] = 0.3
    overlaps: list[Fraction] = [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0]  # 1: the whole image


class BrightnessContrastOptions(ConfigSection):
    """``random_brightness_contrast``: draws both factors from 1 ± the value."""

    brightness: Strength = 0.2
    contrast: Strength = 0.2
    p: Fraction = 0.5


class CompressionOptions(ConfigSection):
    """``image_compression``: JPEG compression of a random quality."""

    quality: tuple[Annotated[int, Field(ge=1, le=100)], Annotated[int, Field(ge=1, le=100)]] = (80, 100)  # from, to
    p: Fraction = 0.5

    @model_validator(mode="after")
    def _ordered(self) -> CompressionOptions:
        if self.quality[0] > self.quality[1]:
            raise ValueError("quality is [from, to] with from <= to")
        return self


class AugMixOptions(ConfigSection):
    """``aug_mix``: blends chains of operations (Hendrycks et al., 2020); with boxes, colour operations only."""

    severity: Annotated[int, Field(ge=1, le=10)] = 3
    mixture_width: Annotated[int, Field(ge=1)] = 3
    chain_depth: int = -1  # operations per chain; -1: a random number from 1 to 3
    alpha: Positive = 1.0


class MixOptions(ConfigSection):
    """``mixup`` (Zhang et al., 2018), ``cutmix`` (Yun et al., 2019): only for training classifiers. With both, each
    batch gets one of them at random."""

    alpha: Positive = 1.0  # of the Beta distribution of the mixing ratio
    p: Fraction = 1.0  # the probability of mixing a batch


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
    """Returns every problem in the names and options of the steps, with its path in the training config.

    Skips steps that are None.
    """
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
    hint = did_you_mean(step.name, known)
    return [Problem(f"{place}.name", f"{step.name!r} is not known; {hint}known: {', '.join(known)}")]


def _message(name: str, message: str) -> str:
    return message if OPTIONS[name].model_fields else f"unknown key; {name} has no options"
