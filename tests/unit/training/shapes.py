"""Pictures of coloured shapes on noise, and where the shapes are: data sets of every kind, drawn not stored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from mitorch_service.training.data.batches.batch import BoxTarget

SHAPES = ("disc", "square", "triangle")
_COLOURS = ((230, 60, 60), (60, 220, 60), (80, 80, 240))


@dataclass(frozen=True)
class Drawing:
    """A picture and the shapes in it."""

    image: Image.Image
    labels: list[int]
    boxes: list[tuple[int, int, int, int]]  # x_min, y_min, x_max, y_max, right and bottom exclusive

    @property
    def tensor(self) -> Tensor:
        """float32 (3, side, side) in 0..1."""
        return torch.from_numpy(np.array(self.image)).permute(2, 0, 1) / 255

    @property
    def target(self) -> BoxTarget:
        return {
            "boxes": torch.tensor(self.boxes, dtype=torch.float32).view(-1, 4),
            "labels": torch.tensor(self.labels, dtype=torch.int64),
        }


def draw_shapes(count: int, side: int = 64, seed: int = 0, most: int = 2) -> list[Drawing]:
    """`count` pictures of 1 to `most` shapes that do not overlap; every fifth shows none."""
    numbers = np.random.default_rng(seed)
    return [_draw(side, 0 if index % 5 == 4 else int(numbers.integers(1, most + 1)), numbers) for index in range(count)]


def write_detection(folder: Path, drawings: list[Drawing], name: str = "train") -> Path:
    """The drawings as a detection set in the text format; returns the text file."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    lines = []
    for index, drawing in enumerate(drawings):
        drawing.image.save(folder / name / f"{index}.png")
        boxes = [
            f"{label} {' '.join(map(str, box))}\n" for label, box in zip(drawing.labels, drawing.boxes, strict=True)
        ]
        (folder / name / f"{index}.txt").write_text("".join(boxes))
        lines.append(f"{name}/{index}.png {name}/{index}.txt\n")
    (folder / "labels.txt").write_text("\n".join(SHAPES) + "\n")
    text = folder / f"{name}.txt"
    text.write_text("".join(lines))
    return text


def _draw(side: int, shapes: int, numbers: np.random.Generator) -> Drawing:
    pixels: NDArray[np.uint8] = numbers.integers(90, 130, (side, side, 3)).astype(np.uint8)
    image = Image.fromarray(pixels)
    labels: list[int] = []
    boxes: list[tuple[int, int, int, int]] = []
    while len(labels) < shapes:
        length = int(numbers.integers(side // 5, side // 2))
        left, top = (int(place) for place in numbers.integers(0, side - length, 2))
        box = (left, top, left + length, top + length)
        if all(_apart(box, other) for other in boxes):
            label = int(numbers.integers(len(SHAPES)))
            _draw_shape(ImageDraw.Draw(image), label, box)
            labels.append(label)
            boxes.append(box)
        elif numbers.random() < 0.05:  # no room left
            break
    return Drawing(image, labels, boxes)


def _draw_shape(draw: ImageDraw.ImageDraw, label: int, box: tuple[int, int, int, int]) -> None:
    left, top, right, bottom = box[0], box[1], box[2] - 1, box[3] - 1
    if label == 0:
        draw.ellipse((left, top, right, bottom), fill=_COLOURS[label])
    elif label == 1:
        draw.rectangle((left, top, right, bottom), fill=_COLOURS[label])
    else:
        draw.polygon([(left, bottom), (right, bottom), ((left + right) / 2, top)], fill=_COLOURS[label])


def _apart(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
