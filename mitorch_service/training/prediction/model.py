"""A trained network with all that using it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike, fsdecode

import torch
from PIL import Image
from torch import Tensor, nn

from mitorch_service.annotations.annotated_image import AnnotatedImage
from mitorch_service.errors import DataError, InvalidInput, Problem
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.training.data.batches.batch import Batch
from mitorch_service.training.data.batches.loaders import Batches
from mitorch_service.training.data.image_list import PackedStrings
from mitorch_service.training.data.targets import Kind
from mitorch_service.training.networks.network import Network
from mitorch_service.training.optimization.precision import Precision
from mitorch_service.training.prediction.given_images import ImageInput, as_image
from mitorch_service.training.prediction.outcomes import Boxing, Choice, Found, Labelling, annotated
from mitorch_service.training.prediction.unlabelled_images import open_prediction_feed

_MULTICLASS = "multiclass_classification"
Damaged = Callable[[str], object]  # is given the problem of each image that cannot be read


@dataclass(frozen=True, eq=False)
class Model:
    """Predicts what images show. `mitorch_service.load` makes one."""

    config: TrainingConfig
    classes: tuple[str, ...]  # in the order of the network's outputs
    kind: Kind  # of the data sets that it was trained on
    network: Network
    device: torch.device
    precision: Precision
    outcomes: Labelling | Boxing
    threshold: float  # the score from which a prediction counts, unless another is given

    @property
    def task_type(self) -> str:
        """The task, as configs name it."""
        return self.config.task_type

    @property
    def module(self) -> nn.Module:
        """The network itself, in evaluation mode on its device."""
        return self.network.module

    def predict(
        self,
        images: Sequence[ImageInput],
        *,
        threshold: float | None = None,
        top: int | None = None,
        batch_size: int | None = None,
    ) -> list[AnnotatedImage]:
        """Returns an AnnotatedImage for each image, in their order.

        An image is a path, ``archive.zip@entry``, a PIL image of any mode and size, or a NumPy array uint8 (height,
        width, 3) of RGB or (height, width) of grey, in 0..255. Boxes are in pixels of the upright image, labels have
        the most probable class first. `threshold`: the least score, 0..1; by default the one stored with the weights,
        else the config's; multiclass: 0. `top`: at most as many labels (multiclass: 1) or boxes of an image.
        Raises InvalidInput for an argument that cannot be right, DataError for an image that cannot be read.
        """
        paths, opened = _sorted_out(images)

        def refuse(problem: str) -> None:
            raise DataError(problem)

        return list(self.stream(paths, refuse, opened, threshold=threshold, top=top, batch_size=batch_size))

    def stream(
        self,
        paths: PackedStrings,
        damaged: Damaged,
        opened: Mapping[int, Image.Image] | None = None,
        *,
        threshold: float | None = None,
        top: int | None = None,
        batch_size: int | None = None,
    ) -> Iterator[AnnotatedImage]:
        """Yields the prediction of each image batch by batch; those that cannot be read are left out and told.
        `opened`: images in memory, by their place in `paths`. Raises as `predict` does."""
        choice = self.choice(threshold, top)
        size = self.config.batch_size if batch_size is None else batch_size
        if size < 1:
            raise InvalidInput("predict", [Problem("batch_size", f"must be 1 or more (it is {size})")])
        if not len(paths):
            return
        feed, batches = open_prediction_feed(
            self.config, self.network, self.kind, paths, opened or {}, size, self.device
        )
        with feed:
            places = _Places(len(paths), size, batches, damaged)
            for batch in feed.epoch(0):
                found = self._found(batch, choice)
                assert isinstance(batch.targets, Tensor)
                for place, upright, one in zip(places.following(), batch.targets.tolist(), found, strict=True):
                    yield annotated(paths[place], upright, one)
            places.finish()

    def choice(self, threshold: float | None = None, top: int | None = None) -> Choice:
        """Completes what a caller leaves open. Raises InvalidInput."""
        if threshold is not None and not 0 <= threshold <= 1:
            raise InvalidInput("predict", [Problem("threshold", f"must be from 0 to 1 (it is {threshold})")])
        if top is not None and top < 1:
            raise InvalidInput("predict", [Problem("top", f"must be 1 or more (it is {top})")])
        if self.task_type == _MULTICLASS:
            return Choice(threshold or 0.0, top or 1)
        return Choice(self.threshold if threshold is None else threshold, top)

    @torch.no_grad()
    def _found(self, batch: Batch, choice: Choice) -> list[Found]:
        with self.precision.autocast():
            return self.outcomes(self.module, self.precision.to_memory_format(batch), choice)


class _Places:
    """The numbers of the images in each batch, of which those that cannot be read are missing."""

    def __init__(self, images: int, batch_size: int, batches: Batches, damaged: Damaged) -> None:
        self._batches = batches
        self._damaged = damaged
        self._parts = iter([range(first, min(first + batch_size, images)) for first in range(0, images, batch_size)])

    def following(self) -> list[int]:
        """Returns those of the next batch that has any image."""
        for part in self._parts:
            if kept := self._read(part):
                return kept
        raise AssertionError("more batches than images")

    def finish(self) -> None:
        """Tells of the last images, if no batch has come of them."""
        for part in self._parts:
            self._read(part)

    def _read(self, part: range) -> list[int]:
        left_out = self._batches.left_out
        for place in part:
            if place in left_out:
                self._damaged(left_out[place])
        return [place for place in part if place not in left_out]


def _sorted_out(images: Sequence[ImageInput]) -> tuple[PackedStrings, dict[int, Image.Image]]:
    """Separates paths from images in memory, which have an empty path."""
    if isinstance(images, str | bytes | PathLike):
        raise InvalidInput("predict", [Problem("images", f"must be a list: [{str(images)!r}]")])
    paths, opened = PackedStrings(), {}
    for place, one in enumerate(images):
        if isinstance(one, str | PathLike):
            paths.append(fsdecode(one))
        else:
            opened[place] = as_image(one, place)
            paths.append("")
    return paths, opened
