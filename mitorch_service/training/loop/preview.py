"""A contact sheet of augmented training images, to look at before hours of training."""

from __future__ import annotations

import math
from pathlib import Path

from PIL import Image, ImageDraw
from torch import Tensor
from torchvision.transforms.v2 import functional

from mitorch_service.errors import DataError
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.training.augmentation.pipeline import build_augmentation, steps_for
from mitorch_service.training.data.batches.batch import BadImage, Target
from mitorch_service.training.data.batches.epoch_batches import EpochBatches
from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.data.images.loading import ImageKey, Images
from mitorch_service.training.loop.feed import image_limits
from mitorch_service.training.plots.canvas import drawable, shorten_path

_MEAN = (0.485, 0.456, 0.406)  # the fill color of erasing; a network may have another
_SMALLEST = 160  # pixels of a tile's side
_LARGEST = 320
_GAP = 6
_CAPTION = 14
_FILE = 16  # characters of a file's name
_COLORS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080", "#9a6324", "#800000")


def write_preview(config: TrainingConfig, train: ImageList, count: int, path: Path) -> None:
    """Writes a PNG of the first `count` images of a training, with their boxes and classes.

    If an epoch has fewer images, those of the next epochs follow. Augmentations that mix images (mixup, cutmix) are not
    shown. Raises DataError if an image cannot be loaded or the file cannot be written.
    """
    steps = steps_for(config.augmentation, train.kind, "train")
    augmentation = build_augmentation(steps, config.model.input_size, _MEAN, train.kind)
    images = Images(
        train, augmentation, config.seed, shorter_side=augmentation.shorter_side, limits=image_limits(config)
    )
    tiles = [_tile(images, key, train.classes) for key in _first_keys(config, len(train), count)]
    images.close()
    try:
        _sheet(tiles).save(path, "PNG")
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror}). Choose another path with -o.") from error


def _first_keys(config: TrainingConfig, images: int, count: int) -> list[ImageKey]:
    order = EpochBatches(images, config.batch_size, shuffle_seed=config.seed)
    keys: list[ImageKey] = []
    while len(keys) < count:
        keys += [key for batch in order for key in batch]
        order.epoch += 1
    return keys[:count]


def _tile(images: Images, key: ImageKey, classes: tuple[str, ...]) -> Image.Image:
    sample = images[key]
    if isinstance(sample, BadImage):
        raise DataError(sample.message)
    picture, target = sample
    image: Image.Image = functional.to_pil_image(picture)
    scale = _scale(max(image.size))
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    image = image.resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BICUBIC)
    tile = Image.new("RGB", (image.width, image.height + _CAPTION), "white")
    tile.paste(image, (0, _CAPTION))
    draw = ImageDraw.Draw(tile)
    file = shorten_path(images.image_list.images[key.index], _FILE)
    draw.text((1, 0), f"{file}  {_caption(target, classes)}", fill="black")
    if isinstance(target, dict):
        _draw_boxes(draw, target, scale, classes)
    return tile


def _scale(side: int) -> float:
    """Enlarges small images, so that each pixel can be seen, and boxes apart from them."""
    return math.ceil(_SMALLEST / side) if side < _SMALLEST else min(1.0, _LARGEST / side)


def _caption(target: Target, classes: tuple[str, ...]) -> str:
    if isinstance(target, dict):
        count = len(target["labels"])
        return f"{count} box{'es' * (count != 1)}"
    labels = target if isinstance(target, tuple) else (target,)
    return drawable(", ".join(classes[label] for label in labels)) or "none"


def _draw_boxes(draw: ImageDraw.ImageDraw, target: dict[str, Tensor], scale: float, classes: tuple[str, ...]) -> None:
    for label, corners in zip(target["labels"].tolist(), target["boxes"].tolist(), strict=True):
        color = _COLORS[label % len(_COLORS)]
        x_min, y_min, x_max, y_max = (value * scale for value in corners)
        left, top = x_min, y_min + _CAPTION
        draw.rectangle((left, top, max(left, x_max - 1), max(top, y_max - 1 + _CAPTION)), outline=color, width=2)
        place = (left + 3, top + 3)
        name = drawable(classes[label])
        draw.rectangle(draw.textbbox(place, name), fill="white")
        draw.text(place, name, fill=color)


def _sheet(tiles: list[Image.Image]) -> Image.Image:
    columns = math.ceil(math.sqrt(len(tiles)))
    width = max(tile.width for tile in tiles) + _GAP
    height = max(tile.height for tile in tiles) + _GAP
    sheet = Image.new("RGB", (columns * width + _GAP, math.ceil(len(tiles) / columns) * height + _GAP), "white")
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        sheet.paste(tile, (_GAP + column * width, _GAP + row * height))
    return sheet
