"""Compares pairs of images by the features of a network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mitorch_service.training.data.image_list import ImageList
from mitorch_service.training.data.leaks.leak_check import Compare
from mitorch_service.training.embedding.backbone import open_backbone

_Images = Sequence[tuple[ImageList, int]]


def open_comparison(name: str, *, untrained: bool = False) -> Compare:
    """Returns a function that gives the cosine similarity of each pair, -1 to 1, each image looked at once. Raises
    ModelError."""
    backbone = open_backbone(name, untrained=untrained)

    def compare(ours: _Images, theirs: _Images) -> NDArray[np.float32]:
        keys = [(id(images), index) for images, index in (*ours, *theirs)]
        distinct = dict(zip(keys, (*ours, *theirs), strict=True))
        features = backbone.features(list(distinct.values()))
        places = {key: place for place, key in enumerate(distinct)}
        rows = features[[places[key] for key in keys]]
        similar: NDArray[np.float32] = (rows[: len(ours)] * rows[len(ours) :]).sum(1)
        return similar

    return compare
