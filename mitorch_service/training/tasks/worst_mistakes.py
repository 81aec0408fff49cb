"""Keeps thumbnails of the images with the largest errors during a pass over a data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from mitorch_service.training.plots.canvas import shorten_path
from mitorch_service.training.plots.sheet import Picture, draw_sheet
from mitorch_service.training.tasks.evaluated_images import EvaluatedImages

_KEPT = 16  # pictures: four rows of four
_SIDE = 160  # pixels of the longer side
_FILE = 34  # characters of a file's name
_SPLIT = 80


@dataclass(frozen=True)
class _Kept:
    error: float
    index: int  # of the sample, in evaluation order
    picture: Tensor  # float32 (3, height, width), as the network saw it
    scale: float  # pixels of the picture per pixel of the image


class WorstMistakes:
    """Keeps the 16 samples with the largest errors; an error of 0 is not a mistake."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        self._mean = torch.tensor(mean).view(3, 1, 1)
        self._std = torch.tensor(std).view(3, 1, 1)
        self._kept: list[_Kept] = []
        self._seen = 0

    def add(self, images: Tensor | list[Tensor], errors: Tensor) -> None:
        """Adds a batch: images (N, 3, H, W) or a list of (3, H, W), normalised, and the error of each, float32 (N)."""
        worst = errors.topk(min(_KEPT, len(errors)))
        for error, place in zip(worst.values.tolist(), worst.indices.tolist(), strict=True):
            if error > 0 and (len(self._kept) < _KEPT or error > self._kept[-1].error):
                self._keep(error, self._seen + place, images[place])
        self._seen += len(errors)

    def draw(self, folder: Path, describe: Callable[[int], Picture], images: EvaluatedImages) -> list[Path]:
        """Draws ``worst_mistakes.png``, with the file of each sample and the caption from `describe`: those of a group
        together, the largest error first.

        Without mistakes, removes the file of an earlier training and returns no path.
        """
        path = folder / "worst_mistakes.png"
        if not self._kept:
            path.unlink(missing_ok=True)
            return []
        described = [(one, describe(one.index)) for one in self._kept]
        places: dict[str, int] = {}
        for _, picture in described:
            places.setdefault(picture.group, len(places))
        described.sort(key=lambda one: places[one[1].group])
        pictures = [
            (self._colours(one.picture), one.scale, _with_file(picture, images.file(one.index)))
            for one, picture in described
        ]
        return [draw_sheet(pictures, f"worst mistakes, {shorten_path(images.split, _SPLIT)}", path)]

    def state(self) -> Any:
        """Returns everything kept, picklable."""
        return self._kept, self._seen

    def merge(self, state: Any) -> None:
        """Adds another instance's `state`; its samples are numbered after this one's."""
        kept, seen = state
        for one in kept:
            self._insert(_Kept(one.error, self._seen + one.index, one.picture, one.scale))
        self._seen += seen

    def _keep(self, error: float, index: int, image: Tensor) -> None:
        scale = min(1.0, _SIDE / max(image.shape[1:]))
        size = [max(1, round(side * scale)) for side in image.shape[1:]]
        picture = interpolate(image[None].float(), size, mode="bilinear", antialias=True)[0].cpu()
        self._insert(_Kept(error, index, picture, scale))

    def _insert(self, one: _Kept) -> None:
        self._kept.append(one)
        self._kept.sort(key=lambda kept: -kept.error)
        del self._kept[_KEPT:]

    def _colours(self, picture: Tensor) -> Any:
        """Denormalises to uint8 (height, width, 3)."""
        values = (picture * self._std + self._mean).clamp(0, 1)
        return (values * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()


def _with_file(picture: Picture, file: str) -> Picture:
    return replace(picture, title=f"{shorten_path(file, _FILE)}\n{picture.title}")
