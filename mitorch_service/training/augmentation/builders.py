"""Builds each named augmentation as a torchvision transform.

`size` is the input size in pixels, `colour` the data's mean colour in 0..255.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torchvision.transforms import v2

from mitorch_service.training.augmentation import options, transforms
from mitorch_service.training.data.targets import Kind

_NO_LIMIT = 1_000_000  # pixels


def _center_crop(given: options.CenterCropOptions, size: int) -> v2.Transform:
    return v2.Compose([v2.Resize(max(size, round(size / given.crop_ratio))), v2.CenterCrop(size)])


def _resize_flip(given: options.ProbabilityOptions, size: int) -> v2.Transform:
    return v2.Compose([v2.Resize((size, size)), v2.RandomHorizontalFlip(given.p)])


def _flip(given: options.ProbabilityOptions, size: int) -> v2.Transform:
    horizontal, vertical = v2.RandomHorizontalFlip(1), v2.RandomVerticalFlip(1)
    return v2.RandomApply([v2.RandomChoice([horizontal, vertical, v2.Compose([horizontal, vertical])])], given.p)


def _random_crop(given: options.RandomCropOptions, size: int) -> v2.Transform:
    return v2.Compose([v2.Resize((size, size)), v2.RandomCrop(size, padding=round(size * given.padding))])


def _random_resized_crop(given: options.RandomResizedCropOptions, size: int) -> v2.Transform:
    return v2.RandomResizedCrop(size, scale=given.scale, ratio=given.ratio)


def _inception(given: options.RandomResizedCropOptions, size: int) -> v2.Transform:
    """Builds Inception's crop (Szegedy et al. 2015) with the colour distortion of TensorFlow's
    slim/preprocessing/inception_preprocessing.py."""
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


def _brightness_contrast(given: options.BrightnessContrastOptions, size: int) -> v2.Transform:
    return v2.RandomApply([v2.ColorJitter(given.brightness, given.contrast)], given.p)


def _image_compression(given: options.CompressionOptions, size: int) -> v2.Transform:
    return v2.RandomApply([transforms.JpegArtefacts(given.quality)], given.p)


def _smallest_max_size(
    given: options.SmallestMaxSizeOptions, size: int, kind: Kind, colour: Sequence[int]
) -> v2.Transform:
    return transforms.ShorterSide(size, round(size * given.longest) if kind == "detection" else _NO_LIMIT)


def _random_erasing(given: options.RandomErasingOptions, size: int, kind: Kind, colour: Sequence[int]) -> v2.Transform:
    return v2.RandomErasing(given.p, scale=given.scale, ratio=given.ratio, value=list(colour))


def _random_rotation(given: options.RotationOptions, size: int) -> v2.Transform:
    return v2.RandomRotation(given.degrees, interpolation=v2.InterpolationMode.BILINEAR)


def _aug_mix(given: options.AugMixOptions, size: int) -> v2.Transform:
    return transforms.AugMix(given.severity, given.mixture_width, given.chain_depth, given.alpha)


Builder = Callable[[Any, int, Kind, Sequence[int]], v2.Transform]


def _plain(build: Callable[[Any, int], v2.Transform]) -> Builder:
    return lambda given, size, kind, colour: build(given, size)


# Any: each builder takes the class of options that OPTIONS has for its name.
BUILDERS: dict[str, Builder] = {
    "resize": _plain(lambda given, size: v2.Resize((size, size))),
    "letterbox": _plain(lambda given, size: transforms.Letterbox(size)),
    "smallest_max_size": _smallest_max_size,
    "center_crop": _plain(_center_crop),
    "resize_flip": _plain(_resize_flip),
    "random_crop": _plain(_random_crop),
    "random_resized_crop": _plain(_random_resized_crop),
    "random_sized_bbox_safe_crop": _plain(lambda given, size: transforms.BoxSafeCrop(size, given.erosion)),
    "random_iou_crop": _plain(lambda given, size: transforms.IouCrop(given.min_scale, given.overlaps)),
    "inception": _plain(_inception),
    "horizontal_flip": _plain(lambda given, size: v2.RandomHorizontalFlip(given.p)),
    "vertical_flip": _plain(lambda given, size: v2.RandomVerticalFlip(given.p)),
    "flip": _plain(_flip),
    "random_rotation": _plain(_random_rotation),
    "random_affine": _plain(_random_affine),
    "color_jitter": _plain(_color_jitter),
    "random_brightness_contrast": _plain(_brightness_contrast),
    "image_compression": _plain(_image_compression),
    "to_gray": _plain(lambda given, size: v2.RandomGrayscale(given.p)),
    "random_erasing": _random_erasing,
    "auto_augment": _plain(lambda given, size: transforms.AutoAugment()),
    "trivial_augment": _plain(lambda given, size: transforms.TrivialAugment(given.num_magnitude_bins)),
    "rand_augment": _plain(lambda given, size: transforms.RandAugment(given.num_ops, given.magnitude)),
    "aug_mix": _plain(_aug_mix),
}
